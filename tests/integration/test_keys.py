"""Odd keys travel byte for byte; unsafe ones never leave the target folder."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.samples import keys_in, objects_in, put_objects, read_tree, settled
from tests.support.cli import Cli
from tests.support.servers import S3Server
from transfer import Transfer, TransferOptions
from transfer.model.errors import UnsafeKeyError
from transfer.model.options import UnsafeKeyPolicy
from transfer.model.receipts import Failure, Receipt, Skip
from transfer.plan.keys import unescape_path

ODD_KEYS = [
    "plus+plus",
    "a space",
    " edges ",
    "percent%41",
    "%2e%2e/percent",
    "question?a=b&c#d",
    "tilde~star*paren()!'\"",
    "caf\u00e9-cafe\u0301",
    "\U0001f680/\u65e5\u672c\u8a9e",
    "dots..inside/a..b/...",
    "name with\ttab",
    "/".join(["n" * 250] * 4) + "/" + "m" * 20,
    "\u00e9" * 120 + "/" + "\u65e5" * 80,
]
UNSAFE_KEYS = ["../outside", "a/../../outside", "/absolute", "a//b", "./here", "a/./b", "nul/../x", "n" * 300]


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_key_makes_the_round_trip(oracle: Any, bucket: str, tmp_path: Path, key: str) -> None:
    (tmp_path / "in").write_bytes(key.encode())
    url = f"s3://{bucket}/{key}"

    async with Transfer() as transfer:
        up = (await settled(transfer.copy_many([str(tmp_path / "in")], url, raw=True)))[0]
        down = (await settled(transfer.copy_many([url], str(tmp_path / "back"), raw=True)))[0]
        info = await transfer.stat(url)
        listed = await settled(transfer.list_objects(f"s3://{bucket}", recursive=True))

    assert isinstance(up, Receipt)
    assert isinstance(down, Receipt)
    assert (up.destination, down.source) == (url, url)
    assert (tmp_path / "back").read_bytes() == key.encode()
    assert info.size == len(key.encode())
    assert [getattr(entry, "key", None) for entry in listed] == [key]
    assert objects_in(oracle, bucket) == {key: key.encode()}

    async with Transfer() as transfer:
        await settled(transfer.remove_many([url], raw=True))
    assert keys_in(oracle, bucket) == []


@pytest.fixture
def unsafe_bucket(moto: S3Server, s3_client: Any) -> str:
    """Only a store that has no folders keeps such keys: SeaweedFS cleans them up as paths."""
    oracle = s3_client(moto)
    oracle.create_bucket(Bucket="unsafe-keys")
    put_objects(oracle, "unsafe-keys", {f"t/{key}": key.encode() for key in UNSAFE_KEYS})
    put_objects(oracle, "unsafe-keys", {"t/safe": b"safe", "t/dir\\file": b"backslash"})
    return "unsafe-keys"


@pytest.mark.parametrize("policy", [UnsafeKeyPolicy.ERROR, UnsafeKeyPolicy.SKIP])
async def test_unsafe_keys_are_refused(unsafe_bucket: str, tmp_path: Path, policy: UnsafeKeyPolicy) -> None:
    target = tmp_path / "deep" / "out"

    async with Transfer(options=TransferOptions(unsafe_keys=policy)) as transfer:
        outcomes = await settled(transfer.copy_many([f"s3://{unsafe_bucket}/t/"], str(target), recursive=True))

    refused = [outcome for outcome in outcomes if not isinstance(outcome, Receipt)]
    assert sorted(outcome.source for outcome in refused) == sorted(f"s3://{unsafe_bucket}/t/{k}" for k in UNSAFE_KEYS)
    for outcome in refused:
        if policy is UnsafeKeyPolicy.SKIP:
            assert isinstance(outcome, Skip)
            assert "no safe file name" in outcome.reason
        else:
            assert isinstance(outcome, Failure)
            assert isinstance(outcome.error, UnsafeKeyError)
            assert outcome.error.subject == outcome.source
            assert "--unsafe-keys" in str(outcome.error.remedy)
    assert read_tree(tmp_path) == {"deep/out/safe": b"safe", "deep/out/dir\\file": b"backslash"}


async def test_unsafe_keys_are_escaped_reversibly(unsafe_bucket: str, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"

    async with Transfer(options=TransferOptions(unsafe_keys=UnsafeKeyPolicy.ESCAPE)) as transfer:
        outcomes = await settled(transfer.copy_many([f"s3://{unsafe_bucket}/t/"], str(target), recursive=True))

    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    found = read_tree(target)
    assert {unescape_path(path): content for path, content in found.items()} == {
        **{key: key.encode() for key in UNSAFE_KEYS},
        "safe": b"safe",
        "dir\\file": b"backslash",
    }
    assert set(read_tree(tmp_path)) == {f"deep/out/{path}" for path in found}


async def test_single_unsafe_key_into_a_folder(unsafe_bucket: str, tmp_path: Path) -> None:
    async with Transfer() as transfer:
        named = await transfer.copy(f"s3://{unsafe_bucket}/t/../outside", tmp_path / "chosen")
        inside = await transfer.copy(f"s3://{unsafe_bucket}/t/../outside", f"{tmp_path}/folder/")
        with pytest.raises(UnsafeKeyError):
            await transfer.copy(f"s3://{unsafe_bucket}/t/{'n' * 300}", f"{tmp_path}/folder/")

    assert named.size == inside.size
    assert set(read_tree(tmp_path)) == {"chosen", "folder/outside"}


async def test_download_never_follows_a_link_out_of_the_target(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"link/file": b"planted", "safe": b"safe"})
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path / "elsewhere")

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([f"s3://{bucket}/"], str(tmp_path / "out"), recursive=True))

    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert failure.error.kind == "local_file"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "out/safe").read_bytes() == b"safe"


@pytest.mark.parametrize("key", ["a//b", "/leading", "t/../up", "back\\slash"])
async def test_keys_that_are_no_paths_are_kept_by_a_store_without_folders(
    moto: S3Server, s3_client: Any, tmp_path: Path, key: str
) -> None:
    oracle, bucket = s3_client(moto), f"no-paths-{key.encode().hex()}"
    oracle.create_bucket(Bucket=bucket)
    (tmp_path / "in").write_bytes(b"content")

    async with Transfer() as transfer:
        await transfer.copy(tmp_path / "in", f"s3://{bucket}/{key}")
        await transfer.copy(f"s3://{bucket}/{key}", tmp_path / "back")

    assert objects_in(oracle, bucket) == {key: b"content"}
    assert (tmp_path / "back").read_bytes() == b"content"


LONGEST = "/".join(["k" * 250] * 4) + "/" + "k" * 18


async def test_a_tree_of_odd_keys_makes_the_round_trip(oracle: Any, bucket: str, tmp_path: Path) -> None:
    keys = [f"t/{key}" for key in (*ODD_KEYS, LONGEST)]
    content = {key: key.encode() for key in keys if len(key.encode()) <= 1024}
    assert max(len(key.encode()) for key in content) == 1024
    put_objects(oracle, bucket, content)

    async with Transfer() as transfer:
        down = await settled(transfer.copy_many([f"s3://{bucket}/t/"], str(tmp_path / "t"), recursive=True))
        await settled(transfer.remove_many([f"s3://{bucket}/t/"], recursive=True))
        assert keys_in(oracle, bucket) == []
        up = await settled(transfer.copy_many([str(tmp_path / "t")], f"s3://{bucket}/t/", recursive=True))

    assert [outcome for outcome in (*down, *up) if not isinstance(outcome, Receipt)] == []
    assert objects_in(oracle, bucket) == content


async def test_a_folder_marker_becomes_a_folder_and_no_object(oracle: Any, bucket: str, tmp_path: Path) -> None:
    put_objects(oracle, bucket, {"t/empty/": b"", "t/full/": b"", "t/full/f": b"f"})

    async with Transfer() as transfer:
        down = await settled(transfer.copy_many([f"s3://{bucket}/t/"], str(tmp_path / "t"), recursive=True))
        up = await settled(transfer.copy_many([str(tmp_path / "t")], f"s3://{bucket}/up/", recursive=True))

    assert [outcome for outcome in (*down, *up) if not isinstance(outcome, Receipt)] == []
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["empty", "full"]
    assert read_tree(tmp_path / "t") == {"full/f": b"f"}
    assert [key for key in keys_in(oracle, bucket) if key.startswith("up/") and not key.endswith("/")] == ["up/full/f"]


async def test_a_key_that_is_too_long_for_the_store_fails_alone(oracle: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/short").write_bytes(b"s")
    deep = tmp_path / "t"
    for _ in range(5):
        deep = deep / ("d" * 240)
        deep.mkdir()
    (deep / "f").write_bytes(b"f")

    async with Transfer() as transfer:
        outcomes = await settled(transfer.copy_many([str(tmp_path / "t")], f"s3://{bucket}/t/", recursive=True))

    moved = {outcome.destination for outcome in outcomes if isinstance(outcome, Receipt)}
    failed = {outcome.destination for outcome in outcomes if isinstance(outcome, Failure)}
    assert len(moved) + len(failed) == 2
    assert moved == {f"s3://{bucket}/{key}" for key in keys_in(oracle, bucket)}
    assert f"s3://{bucket}/t/short" in moved


def test_a_key_that_is_skipped_is_told_and_the_exit_code_is_three(
    unsafe_bucket: str, moto: S3Server, tmp_path: Path
) -> None:
    done = Cli(moto, tmp_path).run("cp", "-r", f"s3://{unsafe_bucket}/t/", "out", "--unsafe-keys", "skip")

    assert done.returncode == 3
    told = done.stderr.decode()
    assert [key for key in UNSAFE_KEYS if f"s3://{unsafe_bucket}/t/{key}: skipped: " not in told] == []
    assert set(read_tree(tmp_path / "out")) == {"safe", "dir\\file"}
