"""Keys that want one name on the disk: both a file and a folder, or one file where a disk ignores case."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import put_objects, read_tree, sample, settled
from tests.support.cli import Cli
from tests.support.servers import S3Server
from transfer import Transfer, TransferOptions
from transfer.model.errors import NameClashError
from transfer.model.options import UnsafeKeyPolicy
from transfer.model.receipts import Failure, Outcome, Receipt, Skip
from transfer.plan.keys import unescape_path
from transfer.stores.local import places

KEYS = {"t/a": b"file", "t/a-": b"between", "t/a/b": b"below", "t/a/c/d": b"deeper", "t/z": b"last"}
LARGE = 9 * 1024 * 1024


@pytest.fixture
def clashing(moto: S3Server, s3_client: Any) -> str:
    """Only a store that has no folders keeps a file and a folder of one name."""
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="clashing")
    put_objects(oracle, "clashing", KEYS)
    return "clashing"


async def _copied(bucket: str, target: Path, policy: UnsafeKeyPolicy) -> list[Outcome]:
    async with Transfer(options=TransferOptions(unsafe_keys=policy)) as transfer:
        return await settled(transfer.copy_many([f"s3://{bucket}/t/"], str(target), recursive=True))


@pytest.mark.parametrize("first", ["a", "a/b"])
@pytest.mark.parametrize("policy", [UnsafeKeyPolicy.ERROR, UnsafeKeyPolicy.SKIP])
async def test_a_file_and_a_folder_of_one_name_are_told_apart(
    clashing: str, tmp_path: Path, policy: UnsafeKeyPolicy, first: str
) -> None:
    target = tmp_path / "out"
    (target / first).parent.mkdir(parents=True)
    (target / first).write_bytes(b"earlier")

    outcomes = await _copied(clashing, target, policy)

    lost = ["t/a/b", "t/a/c/d"] if first == "a" else ["t/a"]
    others = [outcome for outcome in outcomes if not isinstance(outcome, Receipt)]
    assert sorted(outcome.source for outcome in others) == [f"s3://{clashing}/{key}" for key in lost]
    for outcome in others:
        if policy is UnsafeKeyPolicy.SKIP:
            assert isinstance(outcome, Skip)
            told = outcome.reason
        else:
            assert isinstance(outcome, Failure)
            assert isinstance(outcome.error, NameClashError)
            assert outcome.error.subject == outcome.source
            assert "--unsafe-keys" in str(outcome.error.remedy)
            told = outcome.error.message
        assert f"{target}/a is needed both for a file and for a folder" in told
    kept = {key.removeprefix("t/"): content for key, content in KEYS.items() if key not in lost}
    assert read_tree(target) == kept


@pytest.mark.parametrize("first", ["a", "a/b"])
async def test_escaping_keeps_both_reversibly(clashing: str, tmp_path: Path, first: str) -> None:
    target = tmp_path / "out"
    (target / first).parent.mkdir(parents=True)
    (target / first).write_bytes(b"earlier")

    for _ in range(2):
        outcomes = await _copied(clashing, target, UnsafeKeyPolicy.ESCAPE)
        assert [outcome for outcome in outcomes if not isinstance(outcome, Receipt)] == []
        found = read_tree(target)
        assert {f"t/{unescape_path(path)}": content for path, content in found.items()} == KEYS
    assert len(found) == len(KEYS)


async def test_a_marker_whose_name_is_a_file_is_spelled_apart(moto: S3Server, s3_client: Any, tmp_path: Path) -> None:
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="marked")
    put_objects(oracle, "marked", {"t/m/": b"", "t/dir/": b"", "t/x//y": b"odd", "t/dir2/": b"not empty"})
    (tmp_path / "m").write_bytes(b"a file")

    outcomes = await _copied("marked", tmp_path, UnsafeKeyPolicy.ESCAPE)

    assert [outcome for outcome in outcomes if not isinstance(outcome, Receipt)] == []
    assert (tmp_path / "m").is_file()
    assert (tmp_path / "%6D").is_dir()
    assert (tmp_path / "dir").is_dir()
    assert {unescape_path(path) for path in read_tree(tmp_path)} == {"m", "x//y", "dir2/"}


@pytest.fixture
def case_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that ignores case, told by what is there: names in another case than the disk's own lead to a link."""

    def spelling(root: str, relative: str) -> str:
        path, spelled = Path(root), []
        for name in relative.split("/"):
            alike = [other for other in path.iterdir() if other.name.lower() == name.lower()]
            own = [other.name for other in alike if not other.is_symlink()]
            spelled.append(own[0] if own else name)
            path = path / name
        return "/".join(spelled)

    monkeypatch.setattr(places, "folds_names", lambda _: True)
    monkeypatch.setattr(places, "spelling_on_disk", spelling)


@pytest.mark.usefixtures("case_is_ignored")
@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("policy", list(UnsafeKeyPolicy))
async def test_a_file_of_another_key_is_not_replaced(
    oracle: Any, bucket: str, tmp_path: Path, policy: UnsafeKeyPolicy, size: int
) -> None:
    put_objects(oracle, bucket, {"t/read.me": sample(size), "t/other": b"o"})
    (tmp_path / "Read.me").write_bytes(b"of another key")
    (tmp_path / "read.me").symlink_to("Read.me")

    outcomes = await _copied(bucket, tmp_path, policy)

    assert (tmp_path / "Read.me").read_bytes() == b"of another key"
    assert (tmp_path / "other").read_bytes() == b"o"
    clashing = [outcome for outcome in outcomes if outcome.source.endswith("read.me")]
    if policy is UnsafeKeyPolicy.ESCAPE:
        assert isinstance(clashing[0], Receipt)
        assert (tmp_path / "%72ead.me").read_bytes() == sample(size)
    else:
        assert isinstance(clashing[0], Skip if policy is UnsafeKeyPolicy.SKIP else Failure)
        assert "Read.me" in str(clashing[0])
    assert [path for path in read_tree(tmp_path) if path.endswith(".transfer")] == []


@pytest.mark.usefixtures("case_is_ignored")
async def test_the_same_file_is_replaced_and_a_named_one_too(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"t/a": b"new", "t/b": b"named"})
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "B").write_bytes(b"old")
    (tmp_path / "b").symlink_to("B")

    outcomes = await _copied(bucket, tmp_path, UnsafeKeyPolicy.SKIP)
    assert {outcome.source[-1]: type(outcome) for outcome in outcomes} == {"a": Receipt, "b": Skip}
    assert (tmp_path / "a").read_bytes() == b"new"

    async with Transfer() as transfer:
        await transfer.copy(f"s3://{bucket}/t/b", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"named"


def test_a_skip_is_a_warning_and_exit_code_three(clashing: str, moto: S3Server, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_bytes(b"earlier")
    cli = Cli(moto, tmp_path)

    done = cli.run("cp", "-r", f"s3://{clashing}/t/", "out", "--unsafe-keys", "skip")
    assert done.returncode == 3
    assert [line for line in done.stderr.decode().splitlines() if "/t/a/b: skipped: " in line]

    assert cli.run("cp", "-r", f"s3://{clashing}/t/", "out").returncode == 1
