import copyreg
import io
import os
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from transfer.engine.crew.orders import COUNTERS, REDUCERS, CloseFile, Move, OpenFile, PartDone, Settled, Setup
from transfer.engine.crew.part_work import PartWork
from transfer.engine.items import DownloadItem, UploadItem
from transfer.engine.verifying import RangeDigest
from transfer.integrity.proof import SentPart
from transfer.model.checksums import Checksum, ChecksumAlgorithm, ChecksumType, VerifiedBy
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject, ObjectProperties
from transfer.model.options import ConnectionOptions, TransferOptions
from transfer.model.progress import Progress
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover, Receipt, Skip

KEY = S3Location("bucket", "key/\u00e9\udcff")
UPLOAD = UploadItem("/path/\udcff", KEY, 5, 1_700_000_000_123_456_789)
DOWNLOAD = DownloadItem(KEY, "root", "a/b", ListedObject("a/b", 9, '"etag"', 1.5, "STANDARD"), 7)
CHECKSUM = Checksum(ChecksumAlgorithm.CRC64NVME, "AAAA-2", ChecksumType.COMPOSITE)
RECEIPT = Receipt(
    source="/path",
    destination=str(KEY),
    size=5,
    etag='"etag"',
    version_id="version",
    checksum=CHECKSUM,
    verified_by=VerifiedBy.FULL_OBJECT,
    seconds=0.25,
    retries=2,
    mover=Mover.SENDFILE,
    mover_reason="why",
    resumed_bytes=3,
    source_removed=True,
    tags_unread=True,
)
PART = SentPart(**{field.name: None for field in fields(SentPart)})  # type: ignore[arg-type]  # only carried
VALUES = (
    KEY,
    CHECKSUM,
    RECEIPT,
    UPLOAD,
    DOWNLOAD,
    Move(7, (UPLOAD, DOWNLOAD)),
    Settled(3, RECEIPT, ("name", "fingerprint", 5)),
    Settled(3, Skip("source", "reason"), None),
    PartDone(4, RangeDigest(ByteRange(1, 0, 9), b"value"), Mover.RECV, 1),
    PartDone(4, PART, Mover.SENDFILE, 0),
    Setup(
        ConnectionOptions("http://127.0.0.1:1"),
        TransferOptions(properties=ObjectProperties(metadata={"name": "value"}, tags={"tag": "value"})),
        **{field.name: 3 for field in fields(Setup) if field.name not in ("connection", "options")},
    ),
)


def pickled(value: object) -> Any:
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {**copyreg.dispatch_table, **REDUCERS}
    pickler.dump(value)
    return pickle.loads(buffer.getvalue())


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_is_said_arrives_as_it_was(value: object) -> None:
    found = pickled(value)
    assert type(found) is type(value)
    assert found == value


@pytest.mark.parametrize("kind", REDUCERS, ids=lambda kind: kind.__name__)
def test_what_is_pickled_by_its_fields_can_be_made_of_them(kind: type[Any]) -> None:
    assert any(type(value) is kind for value in VALUES)
    assert all(field.init and not field.kw_only for field in fields(kind))
    assert len(fields(kind)) > 1


def test_workers_count_what_is_a_number() -> None:
    assert {type(getattr(Progress(), name)) for name in COUNTERS} == {int}
    assert {"bytes_moved", "bytes_planned", "retries"} <= set(COUNTERS)


def test_another_file_than_the_one_that_is_meant_is_refused(tmp_path: Path) -> None:
    meant, other = tmp_path / "meant", tmp_path / "other"
    meant.touch()
    other.touch()
    status = meant.stat()
    order = OpenFile(1, str(meant), (status.st_dev, status.st_ino), None)
    parts = PartWork(lambda _: None)
    with other.open("rb") as file, pytest.raises(OSError, match="another file"):
        parts.open(order, file.fileno())
    parts.open(order, os.open(meant, os.O_RDONLY))
    parts.close(CloseFile(1))
