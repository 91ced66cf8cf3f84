"""Every message as a person reads it. Values in, lines out, already harmless for a terminal."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from transfer.cli.escape import printable
from transfer.cli.messages import (
    Broken,
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
    NoJobs,
    SourceKept,
    Summary,
    Unproven,
    Usage,
)
from transfer.cli.summary_lines import counted, summary_line
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import TransferError, WireError
from transfer.model.events import ConcurrencyChanged, Event, JobKept, JobResumed, RequestRetried
from transfer.model.locations import S3Location
from transfer.model.receipts import Failure, Intent, Receipt, Removal, Skip, UploadAbort
from transfer.model.sync import Change
from transfer.model.unfinished import UnfinishedJob
from transfer.plan.sizes import format_seconds, format_size

KEPT = "copied, but nothing could verify it, so the source stays"
KEPT_REMEDY = "--allow-unverified removes such sources too"
BROKEN_REMEDY = "please report it, --verbose shows the trace"

Notice = Skip | Unproven | SourceKept | LineFailed | Interrupted | NoJobs | JobRepeated | KeptJob | Summary | Event
"""What is told on standard error besides errors."""


def error_line(message: TransferError | Failure | Broken) -> str:
    """`transfer: s3://b/k: message; remedy`, always a single line."""
    if isinstance(message, Broken):
        return _line(f"internal error: {message.type_name}: {message.text}; {BROKEN_REMEDY}")
    if not isinstance(message, Failure):
        return _line(str(message))
    error = message.error
    # A broken connection names the server, which is the same for thousands of items.
    names_server = isinstance(error, WireError) and (error.subject or "").startswith(("http://", "https://"))
    return _line(f"{message.source}: {error}" if error.subject is None or names_server else str(error))


def notice_line(message: Notice) -> str:
    """What is told on standard error besides errors."""
    match message:
        case Skip():
            return _line(f"{message.source}: skipped: {message.reason}")
        case Unproven() | SourceKept() | LineFailed():
            return _line(_remark(message))
        case Interrupted():
            return _line(f"interrupted; {interrupted_remedy(message)}")
        case NoJobs():
            return _line("nothing is unfinished")
        case JobRepeated():
            return _line(f"job {message.job.id}: {_as_typed(message.job)}")
        case KeptJob():
            return _line(f"unfinished; {_way_on(message)}")
        case Summary():
            return summary_line(message)
        case _:
            return event_line(message)


def _remark(message: Unproven | SourceKept | LineFailed) -> str:
    match message:
        case Unproven():
            return f"{message.source}: moved, but nothing could verify it"
        case SourceKept():
            return f"{message.source}: {KEPT}; {KEPT_REMEDY}"
        case LineFailed():
            return f"{message.file}:{message.number}: ended with {message.code.value}: {message.text}"


def interrupted_remedy(message: Interrupted) -> str:
    """What to do after an interruption, or what became of the work."""
    if message.kept is not None:
        return _way_on(message.kept)
    return message.ending or "nothing half-written is left under a final name: run the command again"


def event_line(event: Event) -> str:
    """A retry, a change of concurrency or a warning."""
    if isinstance(event, RequestRetried):
        wait = format_seconds(event.delay_seconds)
        return _line(f"{event.subject}: attempt {event.attempt + 1} follows in {wait}: {event.reason}")
    if isinstance(event, ConcurrencyChanged):
        return _line(f"{event.limit} requests in flight from now on")
    if isinstance(event, JobKept):
        return notice_line(KeptJob(event.job_id))
    if isinstance(event, JobResumed):
        done = counted(event.finished_items, "item", "items")
        return _line(f"going on with job {event.job_id}: {done} finished earlier")
    return _line(f"warning: {event.message}")


def removal_lines(removals: Sequence[Removal]) -> str:
    """What was removed, one at least, as commands; a thousand plain ones cost little more than their characters."""
    done = [
        f"rm {removal.source}" if removal.moved_to is None and not removal.is_dry_run else _removal(removal)
        for removal in removals
    ]
    # One look at all of them: that a name has to be escaped is rare.
    return "\n".join(done if "".join(done).isprintable() else map(printable, done)) + "\n"


def _removal(removal: Removal) -> str:
    would = "would " if removal.is_dry_run else ""
    way = f"rm {removal.source}" if removal.moved_to is None else f"mv {removal.source} {removal.moved_to}"
    size = f" ({format_size(removal.size)})" if removal.is_dry_run and removal.size is not None else ""
    return f"{would}{way}{size}"


def item_line(outcome: Receipt | UploadAbort | Intent) -> str:
    """What was done, as a command."""
    if isinstance(outcome, Intent):
        return printable(f"would {'mv' if outcome.moves else 'cp'} {_planned(outcome)}") + "\n"
    if isinstance(outcome, UploadAbort):
        done = "would abort" if outcome.is_dry_run else "abort"
        return printable(f"{done} {outcome.source} {outcome.upload_id}") + "\n"
    done = "mv" if outcome.source_removed else "cp"
    return printable(f"{done} {outcome.source} {outcome.destination}") + "\n"


def _planned(intent: Intent) -> str:
    """What would move where, and in brackets why and how much: `a s3://b/a (overwrites: size differs, 3 B)`."""
    facts = []
    if intent.change is not None:
        facts.append(intent.change.value if intent.change is Change.NEW else f"overwrites: {intent.change.value}")
    if intent.size is not None:
        facts.append(format_size(intent.size))
    way = f"{intent.source} {intent.destination}"
    return f"{way} ({', '.join(facts)})" if facts else way


def receipt_line(receipt: Receipt) -> str:
    """A receipt in full, for `--verbose`."""
    return _line(f"{receipt.source}: {_facts(receipt)}")


def proof_line(receipt: Receipt) -> str:
    """A receipt in full as part of a story: the destination's own name and how it got there."""
    name = receipt.destination.rpartition("/")[2]
    return f"   {printable(f'{name}: {_facts(receipt)}')}\n"


def listed_bucket_line(listed: ListedBucket) -> str:
    """A bucket, in the columns of `aws s3 ls`."""
    return f"{local_time(listed.entry.created_seconds)} {printable(listed.entry.name)}\n"


def usage_line(usage: Usage) -> str:
    """What is stored somewhere, as `s5cmd du` tells it."""
    size = format_size(usage.size) if usage.human_sizes else counted(usage.size, "byte", "bytes")
    group = "" if usage.storage_class is None else f" [{usage.storage_class}]"
    return printable(f"{size} in {counted(usage.objects, 'object', 'objects')}: {usage.url}{group}") + "\n"


def listed_upload_line(listed: ListedUpload) -> str:
    """An unfinished upload: when it was begun, its parts and their bytes if asked for, its object and its name."""
    columns = [f"{local_time(listed.initiated_seconds) if listed.initiated_seconds else '-':<19}"]
    if listed.with_parts:
        counts = ("-" if count is None else str(count) for count in (listed.parts, listed.size))
        columns += [f"{count:>{width}}" for count, width in zip(counts, (5, 14), strict=True)]
    columns += [str(S3Location(listed.bucket, listed.key)), listed.upload_id]
    return printable(" ".join(columns)) + "\n"


def listed_job_lines(listed: ListedJob) -> str:
    """A job: its number, whether it runs, what is done, its command; and a line for each large item in the making."""
    job = listed.job
    if job.holder:
        state = f"running as process {job.holder.process_id} since {local_time(job.holder.since_seconds)}"
    else:
        state = f"stopped, last active {local_time(job.touched_seconds)}"
    lines = [f"{job.id:>4}  {state}, {_done(job)}", f"      {_as_typed(job)}"]
    for item in job.items:
        size, done = item.identity.size, item.finished_bytes
        share = 100 * done // size if size else 100
        way = f"{item.identity.source} -> {item.identity.destination}"
        lines.append(f"      {share:>3}% of {format_size(size)}: {way}")
    return "".join(printable(line) + "\n" for line in lines)


def job_line(forgotten: JobForgotten) -> str:
    """What became of a job."""
    done = "would give up" if forgotten.is_dry_run else "gave up"
    return printable(f"{done} job {forgotten.job.id}: {job_name(forgotten.job)}") + "\n"


def job_name(job: UnfinishedJob) -> str:
    """The command of a job as a person would write it."""
    if job.description.command:
        return f"transfer {shlex.join(job.description.command)}"
    return f"{' '.join(job.description.sources)} -> {job.description.destination}"


def _as_typed(job: UnfinishedJob) -> str:
    """The command of a job with the folder that its relative paths start from, for a shell."""
    if not job.description.command:
        return f"a Python program: {job_name(job)}"
    return f"cd {shlex.quote(job.description.folder)} && {job_name(job)}"


def _done(job: UnfinishedJob) -> str:
    size = job.finished_bytes + sum(item.finished_bytes for item in job.items)
    items = f"{counted(job.finished_items, 'item', 'items')} and " if job.finished_items else ""
    return f"{items}{format_size(size)} finished" if size or items else "nothing finished yet"


def _way_on(kept: KeptJob) -> str:
    where = f" --state-dir {shlex.quote(kept.state_folder)}" if kept.state_folder else ""
    return f"run the same command again to go on, or: transfer resume {kept.job_id}{where}"


def described_lines(described: Described) -> str:
    """All facts of an object, one per line; what the store did not tell is left out."""
    info = described.info
    facts = [("url", described.url)]
    for field in dataclasses.fields(info):
        value = getattr(info, field.name)
        if field.name == "size":
            facts.append(("size", str(value) if value < 1024 else f"{value} ({format_size(value)})"))
        elif field.name == "modified_seconds":
            if value:
                facts.append(("modified", datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")))
        elif field.name == "checksums":
            facts += [(f"checksum {one.algorithm.value}", f"{one.value} ({one.type.value})") for one in value]
        elif field.name == "metadata":
            facts += [(f"metadata {key}", text) for key, text in value.items()]
        elif value is not None:
            facts.append((field.name.replace("_", " "), str(value)))
    width = max(len(name) for name, _ in facts) + 2
    return "".join(f"{printable(name):<{width}}{printable(value)}\n" for name, value in facts)


def bucket_line(command: str, url: str) -> str:
    """What was done to a bucket, as a command."""
    return printable(f"{command} {url}") + "\n"


def is_error(message: Message) -> bool:
    """Whether `--quiet` lets the message through."""
    return isinstance(message, TransferError | Failure | Broken | LineFailed)


def _facts(receipt: Receipt) -> str:
    facts = [f"{format_size(receipt.size)} in {format_seconds(receipt.seconds)}"]
    if receipt.verified_by is VerifiedBy.UNVERIFIED:
        facts.append("not verified")
    elif receipt.verified_by is VerifiedBy.NOTHING_TO_VERIFY:
        facts.append(receipt.verified_by.value)
    else:
        facts.append(f"verified by {receipt.verified_by.value}")
    if receipt.checksum is not None:
        facts.append(str(receipt.checksum))
    because = f" ({receipt.mover_reason})" if receipt.mover_reason else ""
    facts.append(f"mover {receipt.mover.value}{because}")
    if receipt.resumed_bytes:
        facts.append(f"{format_size(receipt.resumed_bytes)} of it moved earlier")
    if receipt.retries:
        facts.append(counted(receipt.retries, "retry", "retries"))
    return ", ".join(facts)


def local_time(seconds: float) -> str:
    """A moment by the clock of this place, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _line(text: str) -> str:
    return f"transfer: {printable(text)}\n"
