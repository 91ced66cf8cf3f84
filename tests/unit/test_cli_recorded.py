"""Reading a manifest back: which end of a receipt counts, which receipt of several, and what is no receipt."""

import json
from pathlib import Path
from typing import Any

import pytest

from transfer.cli.manifest import Manifest
from transfer.cli.recorded import RecordedManifest
from transfer.model.audits import Recorded
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.locations import LocalLocation, Location, S3Location, parse_location
from transfer.model.receipts import Mover, Receipt

SHA = Checksum(ChecksumAlgorithm.SHA256, "x-2", ChecksumType.COMPOSITE)


def receipt(source: str, destination: str, *, size: int = 1, checksum: Checksum | None = SHA) -> Receipt:
    return Receipt(source, destination, size, '"e"', None, checksum, VerifiedBy.PARTS, 0.1, 0, Mover.RECV)


def read(path: Path, below: Location | None = None) -> list[Recorded]:
    return list(RecordedManifest(path, below))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Manifest(tmp_path / "receipts.jsonl") as manifest:
        manifest.add_all([receipt("photos/b \udcff", "s3://bucket/p/b \udcff")])
        manifest.add_all([receipt("photos/a", "s3://bucket/p/a", checksum=None)])
        manifest.add_all([receipt("s3://bucket/p/c", "/back/c")])
        manifest.add_all([receipt("s3://bucket/p/a", "s3://copy/a")])
        manifest.add_all([receipt("s3://bucket/p/a", "-")])
        manifest.add_all([receipt("photos/a", "s3://bucket/p/a", size=2)])
    return tmp_path / "receipts.jsonl"


def test_destinations_are_checked_by_their_last_receipts(path: Path) -> None:
    assert read(path) == [
        Recorded("s3://bucket/p/c", LocalLocation("/back/c"), 1, '"e"', SHA),
        Recorded("photos/a", S3Location("bucket", "p/a"), 2, '"e"', SHA),
        Recorded("photos/b \udcff", S3Location("bucket", "p/b \udcff"), 1, '"e"', SHA),
        Recorded("s3://bucket/p/a", S3Location("copy", "a"), 1, '"e"', SHA),
    ]


@pytest.mark.parametrize(
    ("below", "places"),
    [
        ("s3://bucket", ["s3://bucket/p/a", "s3://bucket/p/b \udcff", "s3://bucket/p/c"]),
        ("s3://bucket/p/a", ["s3://bucket/p/a"]),
        ("s3://bucket/p", ["s3://bucket/p/a", "s3://bucket/p/b \udcff", "s3://bucket/p/c"]),
        ("photos/", ["photos/a", "photos/b \udcff"]),
        ("/back", ["/back/c"]),
    ],
)
def test_a_location_chooses_the_ends_that_are_there(path: Path, below: str, places: list[str]) -> None:
    assert [str(recorded.place) for recorded in read(path, parse_location(below))] == places


def test_the_etag_of_a_copy_is_not_that_of_its_source(path: Path) -> None:
    path.write_text(path.read_text().splitlines()[3] + "\n")
    (found,) = read(path, parse_location("s3://bucket/p/"))
    assert (found.place, found.etag) == (S3Location("bucket", "p/a"), "")


@pytest.mark.parametrize("below", ["s3://bucket/pp", "s3://other", "photo", "/"])
def test_nothing_below(path: Path, below: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]))
    if below == "/":
        path.write_text("")
    with pytest.raises(UsageError, match="names nothing below"):
        read(path, parse_location(below))


@pytest.mark.parametrize(
    "line",
    ['{"source": "a"', "[]", "1", '{"source": "a", "destination": ""}', '{"source": "", "destination": "b"}', "\xff"],
)
def test_lines_that_are_no_receipts(path: Path, line: Any) -> None:
    path.write_bytes(line.encode("latin-1") + b"\n" + path.read_bytes())
    with path.open("a") as lines:
        lines.write(json.dumps({"type": "summary", "moved": 3}) + "\n")
    manifest = RecordedManifest(path, None)
    assert len(list(manifest)) == 4
    assert [skip.source for skip in manifest.skipped] == [f"{path}:1"]


def test_no_receipts_at_all(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(UsageError, match="no receipt"):
        read(tmp_path / "empty")
    with pytest.raises(LocalFileError):
        read(tmp_path / "nothing")
    with pytest.raises(UsageError, match="stream"):
        RecordedManifest(tmp_path / "empty", parse_location("-"))
