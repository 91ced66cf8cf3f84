"""What must be the same for the work of an earlier run to count. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from transfer.engine.verifying import DownloadPlan
from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.objects import ObjectInfo
from transfer.stores.local.source import ReadFile, SourceFile

_WAY = " part="
"""What comes before it tells the file, what comes after it the way in which it is sent."""


def upload_fingerprint(
    source: SourceFile | ReadFile, part_size_bytes: int, algorithm: ChecksumAlgorithm, headers: Mapping[str, str]
) -> str:
    """That of a multipart upload: the file as it is, its parts, and the properties it was begun with."""
    device, inode = source.identity
    properties = hashlib.sha256(json.dumps(sorted(headers.items())).encode()).hexdigest()[:16]
    return (
        f"size={source.size} mtime_ns={source.mtime_ns} device={device} inode={inode}{_WAY}{part_size_bytes} "
        f"checksum={algorithm.value} properties={properties}"
    )


def copy_fingerprint(
    info: ObjectInfo, part_size_bytes: int, algorithm: ChecksumAlgorithm, headers: Mapping[str, str]
) -> str:
    """That of a multipart copy inside the store: the source as it is, the parts, and the properties of the copy."""
    properties = hashlib.sha256(json.dumps(sorted(headers.items())).encode()).hexdigest()[:16]
    return (
        f"size={info.size} etag={info.etag}{_WAY}{part_size_bytes} checksum={algorithm.value} properties={properties}"
    )


def is_same_file(recorded: str, now: str) -> bool:
    """Whether two fingerprints of uploads are of the same file, however it is to be sent."""
    return recorded.partition(_WAY)[0] == now.partition(_WAY)[0]


def download_fingerprint(plan: DownloadPlan) -> str:
    """That of a ranged download: one version of one object, and how it is cut and digested."""
    return json.dumps(
        {
            "etag": plan.info.etag,
            "version": plan.info.version_id,
            "size": plan.info.size,
            "part": plan.part_size_bytes,
            "checksum": plan.part_algorithm.value,
        }
    )


def finished_file(size: int, mtime_ns: int) -> str:
    """That of a file of a tree that was sent."""
    return f"{size} {mtime_ns}"


def finished_object(size: int, etag: str) -> str:
    """That of an object of a tree that was fetched."""
    return f"{size} {etag}"
