"""Every message as a dictionary for `--json` and the manifest. Field names are the model's and stay stable."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from transfer.cli.messages import (
    Broken,
    BucketChanged,
    Described,
    Interrupted,
    JobForgotten,
    JobRepeated,
    KeptJob,
    LineFailed,
    ListedBucket,
    ListedJob,
    ListedUpload,
    Message,
    Proof,
    SourceKept,
    Step,
    Summary,
    Unproven,
    Usage,
)
from transfer.cli.text import BROKEN_REMEDY, KEPT, KEPT_REMEDY, interrupted_remedy
from transfer.model.checksums import Checksum
from transfer.model.errors import StoreError, TransferError
from transfer.model.events import ConcurrencyChanged, JobKept, JobResumed, RequestRetried, Warned
from transfer.model.receipts import Failure, Intent, Outcome, Receipt, Removal, Skip, UploadAbort
from transfer.model.unfinished import UnfinishedJob


def json_line(record: Mapping[str, Any]) -> str:
    """One line of ASCII: no character of a key can reach a terminal as it is."""
    return json.dumps(record, ensure_ascii=True) + "\n"


def receipt_record(receipt: Receipt) -> dict[str, Any]:
    """All fields of a receipt; `verified_by` and `mover` are the values of their enums."""
    return {
        "source": receipt.source,
        "destination": receipt.destination,
        "size": receipt.size,
        "etag": receipt.etag,
        "version_id": receipt.version_id,
        "checksum": None if receipt.checksum is None else checksum_record(receipt.checksum),
        "verified_by": receipt.verified_by.value,
        "seconds": round(receipt.seconds, 6),
        "retries": receipt.retries,
        "mover": receipt.mover.value,
        "mover_reason": receipt.mover_reason,
        "resumed_bytes": receipt.resumed_bytes,
        "source_removed": receipt.source_removed,
        "tags_unread": receipt.tags_unread,
    }


def checksum_record(checksum: Checksum) -> dict[str, str]:
    """The value is base64, as in S3's headers."""
    return {"algorithm": checksum.algorithm.value, "value": checksum.value, "type": checksum.type.value}


def record_of(message: Message) -> dict[str, Any]:
    """The dictionary of any message; `type` tells its kind."""
    match message:
        case Receipt() | Proof() | Failure() | Skip() | Removal() | UploadAbort() | Intent():
            return _outcome_record(message)
        case TransferError():
            return _error_record(message, None)
        case ListedBucket() | ListedUpload() | Usage() | Described() | BucketChanged():
            return _answer_record(message)
        case ListedJob() | JobRepeated() | JobForgotten():
            return _job_message_record(message)
        case Summary():
            return _summary_record(message)
        case RequestRetried() | ConcurrencyChanged() | JobKept() | KeptJob() | JobResumed():
            return _event_record(message)
        case _:
            return _notice_record(message)


def _outcome_record(message: Outcome | Proof) -> dict[str, Any]:
    match message:
        case Receipt():
            return {"type": "receipt", **receipt_record(message)}
        case Proof():
            return {"type": "receipt", **receipt_record(message.receipt)}
        case Failure():
            places = {"source": message.source, "destination": message.destination}
            return {**_error_record(message.error, message.source), **places}
        case Skip():
            return {"type": "skip", "source": message.source, "reason": message.reason}
        case Removal():
            kind = "would_remove" if message.is_dry_run else "removal"
            backup = {} if message.moved_to is None else {"moved_to": message.moved_to}
            size = {"size": message.size} if message.is_dry_run else {}
            return {"type": kind, "source": message.source, **backup, **size}
        case Intent():
            return {
                "type": "would_move" if message.moves else "would_copy",
                "source": message.source,
                "destination": message.destination,
                "size": message.size,
                "change": None if message.change is None else message.change.name.lower(),
            }
        case UploadAbort():
            return _abort_record(message)


def _answer_record(message: ListedBucket | ListedUpload | Usage | Described | BucketChanged) -> dict[str, Any]:
    match message:
        case ListedBucket():
            entry = message.entry
            return {"type": "bucket", "name": entry.name, "created": iso_time(entry.created_seconds)}
        case ListedUpload():
            return _listed_upload_record(message)
        case Usage():
            return _usage_record(message)
        case Described():
            return _described_record(message)
        case BucketChanged():
            kind = "bucket_made" if message.command == "mb" else "bucket_removed"
            return {"type": kind, "bucket": message.url}


def _job_message_record(message: ListedJob | JobRepeated | JobForgotten) -> dict[str, Any]:
    record = job_record(message.job)
    if isinstance(message, JobRepeated):
        record["type"] = "job_repeated"
    elif isinstance(message, JobForgotten):
        record["type"] = "job_would_be_forgotten" if message.is_dry_run else "job_forgotten"
    return record


def _event_record(message: RequestRetried | ConcurrencyChanged | JobKept | KeptJob | JobResumed) -> dict[str, Any]:
    match message:
        case RequestRetried():
            return {"type": "retry", **dataclasses.asdict(message)}
        case ConcurrencyChanged():
            return {"type": "concurrency", "limit": message.limit}
        case JobKept() | KeptJob():
            return {"type": "job_kept", "job": message.job_id}
        case JobResumed():
            return {"type": "job_resumed", "job": message.job_id, "finished_items": message.finished_items}


def _notice_record(message: Message) -> dict[str, Any]:
    match message:
        case Step():
            return {"type": "step", "message": message.text.strip()}
        case Unproven():
            return {"type": "warning", "message": "moved, but nothing could verify it", "subject": message.source}
        case LineFailed():
            return {
                "type": "line_failed",
                "file": message.file,
                "line": message.number,
                "command": message.text,
                "exit_code": int(message.code),
            }
        case SourceKept():
            return {"type": "warning", "message": f"{KEPT}; {KEPT_REMEDY}", "subject": message.source}
        case Warned():
            return {"type": "warning", "message": message.message, "subject": None}
        case Interrupted():
            return _error("interrupted", "interrupted", None, interrupted_remedy(message))
        case Broken():
            return _error("internal", f"{message.type_name}: {message.text}", None, BROKEN_REMEDY)
        case _:
            raise TypeError(f"{type(message).__name__} has no JSON form")


def _error(kind: str, message: str, subject: str | None, remedy: str | None) -> dict[str, Any]:
    return {"type": "error", "kind": kind, "message": message, "subject": subject, "remedy": remedy}


def _error_record(error: TransferError, item: str | None) -> dict[str, Any]:
    record = _error(error.kind, error.message, error.subject or item, error.remedy)
    if isinstance(error, StoreError):
        record |= {"status": error.status, "code": error.code, "request_id": error.request_id}
    return record


def _abort_record(abort: UploadAbort) -> dict[str, Any]:
    return {
        "type": "upload_abort",
        "source": abort.source,
        "upload_id": abort.upload_id,
        "initiated": iso_time(abort.initiated_seconds) if abort.initiated_seconds else None,
        "dry_run": abort.is_dry_run,
    }


def _usage_record(usage: Usage) -> dict[str, Any]:
    group = {} if usage.storage_class is None else {"storage_class": usage.storage_class}
    return {"type": "usage", "url": usage.url, **group, "objects": usage.objects, "size": usage.size}


def _listed_upload_record(listed: ListedUpload) -> dict[str, Any]:
    record = {
        "type": "upload",
        "bucket": listed.bucket,
        "key": listed.key,
        "upload_id": listed.upload_id,
        "initiated": iso_time(listed.initiated_seconds) if listed.initiated_seconds else None,
    }
    return record | ({"parts": listed.parts, "size": listed.size} if listed.with_parts else {})


def job_record(job: UnfinishedJob) -> dict[str, Any]:
    """An unfinished job with its large items."""
    return {
        "type": "job",
        "job": job.id,
        "command": list(job.description.command),
        "folder": job.description.folder,
        "endpoint": job.description.endpoint,
        "sources": list(job.description.sources),
        "destination": job.description.destination,
        "began": iso_time(job.began_seconds),
        "touched": iso_time(job.touched_seconds),
        "process_id": job.holder.process_id if job.holder else None,
        "finished_items": job.finished_items,
        "finished_bytes": job.finished_bytes,
        "items": [
            {
                "direction": item.identity.direction.value,
                "source": item.identity.source,
                "destination": item.identity.destination,
                "size": item.identity.size,
                "finished_bytes": item.finished_bytes,
                "upload_id": item.upload_id,
                "began": iso_time(item.began_seconds),
            }
            for item in job.items
        ],
    }


def _described_record(described: Described) -> dict[str, Any]:
    info = described.info
    record: dict[str, Any] = {"type": "stat", "url": described.url}
    for field in dataclasses.fields(info):
        if field.name == "modified_seconds":
            record["modified"] = iso_time(info.modified_seconds) if info.modified_seconds else None
        elif field.name == "checksums":
            record["checksums"] = [checksum_record(checksum) for checksum in info.checksums]
        elif field.name == "metadata":
            record["metadata"] = dict(info.metadata)
        else:
            record[field.name] = getattr(info, field.name)
    return record


def _summary_record(summary: Summary) -> dict[str, Any]:
    return {
        "type": "summary",
        "command": summary.command,
        **dataclasses.asdict(summary.tally),
        "seconds": round(summary.seconds, 6),
        "exit_code": int(summary.code),
    }


def iso_time(seconds: float) -> str:
    """A moment in UTC, as ISO 8601 writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
