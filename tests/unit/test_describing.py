from dataclasses import replace
from pathlib import Path

import pytest

from transfer.engine.copy_request import CopyRequest, check_request
from transfer.engine.describing import REMEMBERED_VARIABLES, bucket_of, describe, is_resumable, is_tree
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.filters import FilterRule, Filters
from transfer.model.locations import LocalLocation, S3Location, StreamLocation, parse_location
from transfer.model.objects import ObjectProperties
from transfer.model.options import TransferOptions, UnsafeKeyPolicy
from transfer.model.unfinished import JobDescription

STORE = "https://store"
OPTIONS = TransferOptions()


def request(*places: str, recursive: bool = False, raw: bool = False) -> CopyRequest:
    *sources, destination = map(parse_location, places)
    return CopyRequest(tuple(sources), destination, recursive, raw)


def described(
    asked: CopyRequest, options: TransferOptions = OPTIONS, environment: dict[str, str] | None = None
) -> JobDescription:
    return describe(asked, options, STORE, environment or {})


def test_paths_are_absolute_and_keys_are_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = described(request("a/../b", "./c", f"{tmp_path}/d", "s3://bucket/./x/../y"))
    assert found.sources == (f"{tmp_path}/b", f"{tmp_path}/c", f"{tmp_path}/d")
    assert found.destination == "s3://bucket/./x/../y"
    assert found.folder == str(tmp_path)
    assert found.endpoint == STORE


def test_links_on_the_way_are_names_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert described(request(f"{tmp_path}/link/x", "s3://b/k")).sources == (f"{tmp_path}/link/x",)


def test_slash_at_the_end_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert described(request("s3://b/k", "folder/")).destination == f"{tmp_path}/folder/"
    assert described(request("s3://b/k", "folder")).destination == f"{tmp_path}/folder"
    assert described(request("s3://b/k", "/")).destination == "/"


def test_slash_at_the_end_of_a_tree_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    ways = [
        described(check_request([f"{tmp_path}/tree{one}"], f"s3://b/k{other}", recursive=True, raw=False)).signature
        for one in ("", "/")
        for other in ("", "/")
    ]
    assert len(set(ways)) == 1
    other = described(check_request([f"{tmp_path}/tree"], "s3://b/", recursive=True, raw=False)).signature
    assert other not in ways


def test_same_request_from_another_folder_is_the_same_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    here = described(request("sub/file", "s3://b/k"))
    monkeypatch.chdir(tmp_path / "sub")
    there = described(request("file", "s3://b/k"))
    elsewhere = described(request("../file", "s3://b/k"))
    assert here.folder != there.folder
    assert here.signature == there.signature
    assert here.signature != elsewhere.signature


def test_how_fast_and_how_told_makes_no_other_job() -> None:
    asked = request("/a", "s3://b/k")
    same = [
        replace(OPTIONS, concurrency=3),
        replace(OPTIONS, part_size_bytes=8 << 20),
        replace(OPTIONS, limit_rate_bytes_per_second=1.0),
        replace(OPTIONS, retries=0),
        replace(OPTIONS, command=("cp", "a", "s3://b/k")),
        replace(OPTIONS, state_folder="/elsewhere"),
    ]
    assert {described(asked, options).signature for options in same} == {described(asked).signature}


def test_what_changes_what_arrives_makes_another_job() -> None:
    asked = request("/a", "s3://b/k")
    others = [
        described(asked, replace(OPTIONS, checksum=ChecksumAlgorithm.MD5)),
        described(asked, replace(OPTIONS, unsafe_keys=UnsafeKeyPolicy.ESCAPE)),
        described(asked, replace(OPTIONS, follow_symlinks=False)),
        described(asked, replace(OPTIONS, properties=ObjectProperties(content_type="text/plain"))),
        described(asked, replace(OPTIONS, properties=ObjectProperties(metadata={"a": "b"}))),
        described(asked, replace(OPTIONS, properties=ObjectProperties(tags={"a": "b"}))),
        described(request("/a", "s3://b/k", recursive=True)),
        described(request("/a", "s3://b/k", raw=True)),
        described(request("/a", "s3://b/other")),
        described(request("/a", "/c", "s3://b/k")),
        described(request("s3://b/k", "/a")),
        describe(asked, OPTIONS, "https://other", {}),
        described(asked),
    ]
    assert len({found.signature for found in others}) == len(others)


def test_only_what_chooses_the_store_is_remembered_of_the_environment() -> None:
    environment = {
        "AWS_PROFILE": "work",
        "AWS_REGION": "eu-west-1",
        "AWS_CA_BUNDLE": "",
        "AWS_ACCESS_KEY_ID": "key-id",
        "AWS_SECRET_ACCESS_KEY": "secret-key",
        "AWS_SESSION_TOKEN": "session-token",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token",
        "PATH": "/bin",
    }
    found = described(request("/a", "s3://b/k"), environment=environment)
    assert found.environment == (("AWS_PROFILE", "work"), ("AWS_REGION", "eu-west-1"))
    assert not [name for name in REMEMBERED_VARIABLES if "SECRET" in name or "TOKEN" in name or "KEY" in name]
    assert JobDescription.from_json(found.to_json()) == found
    for secret in ("key-id", "secret-key", "token"):
        assert secret not in found.to_json()


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(
    ("url", "is_kept"),
    [
        ("http://127.0.0.1:9000", True),
        ("https://host/path", True),
        ("https://user:s3cret@host", False),
        ("https://s3cret@host", False),
        ("user:s3cret@host", False),
        ("https://s3cret@[host", False),
        ("", False),
    ],
)
def test_a_url_that_no_command_could_use_is_not_remembered(name: str, url: str, is_kept: bool) -> None:
    found = described(request("/a", "s3://b/k"), environment={name: url, "AWS_REGION": "r"})
    expected = {"AWS_REGION": "r"} | ({name: url} if is_kept else {})
    assert dict(found.environment) == expected
    assert "s3cret" not in found.to_json()


def test_variables_of_the_environment_make_no_other_job() -> None:
    asked = request("/a", "s3://b/k")
    assert described(asked, environment={"AWS_PROFILE": "work"}).signature == described(asked).signature


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request("/a", "s3://b/k"), False),
        (request("/a", "s3://b/k", recursive=True), True),
        (request("/a", "/c", "s3://b/"), True),
        (request("/a*", "s3://b/"), True),
        (request("/a*", "s3://b/", raw=True), False),
        (request("s3://b/k", "/a"), False),
        (request("s3://b/k?", "/a"), True),
        (request("s3://b/k[1]", "/a", raw=True), False),
    ],
)
def test_tree_is_what_may_be_many(asked: CopyRequest, expected: bool) -> None:
    assert is_tree(asked) is expected


def test_streams_cannot_be_gone_on_with() -> None:
    key = S3Location("b", "k")
    assert is_resumable(CopyRequest((LocalLocation("a"),), key, recursive=False, raw=False))
    assert is_resumable(CopyRequest((key,), LocalLocation("a"), recursive=False, raw=False))
    assert not is_resumable(CopyRequest((StreamLocation(),), key, recursive=False, raw=False))
    assert not is_resumable(CopyRequest((key,), StreamLocation(), recursive=False, raw=False))


def test_bucket_tells_the_store() -> None:
    assert bucket_of(request("/a", "s3://up/k")) == "up"
    assert bucket_of(request("s3://down/k", "/a")) == "down"


def test_other_filters_are_another_job_and_the_same_age_is_the_same(tmp_path: Path) -> None:
    asked = request(str(tmp_path), "s3://b/k", recursive=True)

    def signature(filters: Filters) -> str:
        return described(asked, replace(OPTIONS, filters=filters)).signature

    different = [
        Filters(),
        Filters(rules=(FilterRule("a", includes=True), FilterRule("b", includes=False))),
        Filters(rules=(FilterRule("b", includes=False), FilterRule("a", includes=True))),
        Filters(min_size_bytes=1),
        Filters(max_size_bytes=1),
        Filters(modified_after_seconds=1.0),
        Filters(modified_before_seconds=1.0),
        Filters(modified_after_seconds=1.0, newer_than="7d"),
        Filters(storage_classes=frozenset({"STANDARD"})),
    ]
    assert len({signature(filters) for filters in different}) == len(different)
    later = Filters(modified_after_seconds=2.0, newer_than="7d")
    assert signature(later) == signature(different[-2])
    assert signature(Filters()) == described(asked).signature
