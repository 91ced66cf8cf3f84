"""What a user may choose. None always means: the engine decides from what it measures."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from transfer.model.checksums import ChecksumAlgorithm
from transfer.model.filters import Filters
from transfer.model.objects import ObjectProperties
from transfer.model.values import dataclass


class UnsafeKeyPolicy(StrEnum):
    """What happens to a key that is no safe file name below the target folder."""

    ERROR = "error"
    SKIP = "skip"
    ESCAPE = "escape"


class AddressingStyle(StrEnum):
    """Where the bucket's name goes: into the host, into the path, or wherever the endpoint rules say."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


class CopyDirective(StrEnum):
    """What an object that the store copies has: what its source has, or only what is given for it."""

    COPY = "copy"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """How to reach the store and as whom.

    Attributes:
        endpoint_url: The server, or None for what the environment, the profile or AWS say.
        sign_request: False sends anonymous requests, for public buckets.
        ca_bundle: A PEM file to trust instead of the system's authorities.
        stall_seconds: A connection on which nothing, or next to nothing, moves for so long is dropped.
        heeds_environment: Whether variables may name the endpoint and the region that are not named here. They speak
            of a run's first store: a second one that has a profile of its own is what that profile says.
    """

    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None
    addressing_style: AddressingStyle = AddressingStyle.AUTO
    sign_request: bool = True
    verify_tls: bool = True
    ca_bundle: str | None = None
    stall_seconds: float = 30.0
    heeds_environment: bool = True


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How to move. Sizes are bytes, rates bytes per second.

    Attributes:
        concurrency: Requests in flight; None lets the governor find the number.
        processes: How many processes share the work, the first one included; None means one for each core. Only the
            command line begins others.
        retries: Further attempts per request after the first; None means `plan.retry.DEFAULT_RETRIES`.
        checksum: What uploads carry; None means CRC64NVME where the store takes it, MD5 where it does not.
        require_verified: A transfer that nothing could verify counts as a warning.
        resume: Remember what is finished, and go on from there when the same is asked again.
        state_folder: Where that is remembered; None means the platform's folder for the state of programs.
        filters: What of trees is left out.
        metadata_directive: What copies inside the store have as metadata and content headers; None means: what their
            source has, unless `properties` names some.
        tagging_directive: The same for tags.
        command: The command line that asked for the run, so that it can be repeated; empty in Python programs.
    """

    concurrency: int | None = None
    processes: int | None = None
    part_size_bytes: int | None = None
    limit_rate_bytes_per_second: float | None = None
    checksum: ChecksumAlgorithm | None = None
    retries: int | None = None
    unsafe_keys: UnsafeKeyPolicy = UnsafeKeyPolicy.ERROR
    follow_symlinks: bool = True
    require_verified: bool = False
    resume: bool = True
    state_folder: str | None = None
    command: tuple[str, ...] = ()
    properties: ObjectProperties = field(default_factory=ObjectProperties)
    filters: Filters = field(default_factory=Filters)
    metadata_directive: CopyDirective | None = None
    tagging_directive: CopyDirective | None = None
