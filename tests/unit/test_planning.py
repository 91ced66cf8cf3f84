"""What a copy is refused for before anything moves."""

from pathlib import Path

import pytest

from transfer.engine.copy_request import check_request
from transfer.model.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("x/a.txt", "y/a.txt", "y/b.txt", "tree/a.txt", "tree2/a.txt", "[z]/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("sources", "destination", "recursive", "raw"),
    [
        (["x/a.txt", "y/a.txt"], "s3://b/d/", False, False),
        (["x/a.txt", "y/b.txt", "./x/a.txt"], "s3://b/d/", False, False),
        (["x/a.txt", "tree", "y/a.txt"], "s3://b/d/", True, False),
        (["x/a.txt", "[z]/a.txt"], "s3://b/d/", False, False),
        (["s3://b/x/a", "s3://b/y/a"], "dd", False, False),
        (["s3://b/a", "s3://c/a"], "dd", False, False),
        (["s3://b/x/*", "s3://b/y/*"], "dd", False, True),
    ],
)
def test_a_source_never_overwrites_another(sources: list[str], destination: str, recursive: bool, raw: bool) -> None:
    with pytest.raises(UsageError, match="would overwrite") as caught:
        check_request(sources, destination, recursive=recursive, raw=raw)
    assert caught.value.subject == sources[-1]
    assert sources[0] in caught.value.message
    assert caught.value.remedy


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("source", "destination", "recursive"),
    [
        ("x/a.txt", "s3://b/d/", False),
        ("tree", "s3://b/d/", True),
        ("x/*", "s3://b/d/", False),
        ("s3://b/a", "dd", False),
        ("s3://b/p/", "dd", True),
    ],
)
def test_a_source_is_named_once(source: str, destination: str, recursive: bool) -> None:
    with pytest.raises(UsageError, match="named twice") as caught:
        check_request([source, source], destination, recursive=recursive, raw=False)
    assert caught.value.subject == source


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("sources", "destination", "recursive"),
    [
        (["x/a.txt", "y/b.txt"], "s3://b/d/", False),
        (["tree", "tree2"], "s3://b/d/", True),
        (["x/*", "y/*"], "s3://b/d/", False),
        (["s3://b/x/*", "s3://b/y/*"], "dd", False),
        (["s3://b/x/", "s3://b/y/"], "dd", True),
    ],
)
def test_sources_of_different_names_and_those_that_may_be_many_pass(
    sources: list[str], destination: str, recursive: bool
) -> None:
    assert len(check_request(sources, destination, recursive=recursive, raw=False).sources) == len(sources)
