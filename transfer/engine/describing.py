"""What makes two requests the same job, and what is needed to repeat one. Opens and sends nothing.

Nothing secret may come into a description: it is written to disk as it is.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from transfer.engine.copy_request import CopyRequest
from transfer.model.errors import UsageError
from transfer.model.filters import Filters
from transfer.model.locations import LocalLocation, Location, S3Location, StreamLocation, has_wildcard
from transfer.model.options import TransferOptions
from transfer.model.unfinished import JobDescription
from transfer.system.paths import absolute_path, current_folder
from transfer.wire.origin import parse_origin

REMEMBERED_VARIABLES = (
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
)
"""What of the environment decides where a command goes; none of it is a secret."""

_ENDPOINTS = frozenset({"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"})


def is_resumable(request: CopyRequest) -> bool:
    """Whether a later run could go on: a stream cannot be read again."""
    places = (*request.sources, request.destination)
    return not any(isinstance(place, StreamLocation) for place in places)


def is_tree(request: CopyRequest) -> bool:
    """Whether the request may mean many items, of which each that is done is worth remembering."""
    if request.listed is not None:
        return True
    return request.recursive or len(request.sources) > 1 or (not request.raw and any(map(_is_pattern, request.sources)))


def bucket_of(request: CopyRequest) -> str:
    """The bucket that tells which store is meant: the one that objects go to, if they go to one."""
    return next(place.bucket for place in (request.destination, *request.sources) if isinstance(place, S3Location))


def source_bucket_of(request: CopyRequest) -> str:
    """The bucket that objects come from, where they go from one to another."""
    return next(place.bucket for place in request.sources if isinstance(place, S3Location))


def describe(
    request: CopyRequest,
    options: TransferOptions,
    endpoint: str,
    environment: Mapping[str, str],
    *,
    source_endpoint: str = "",
) -> JobDescription:
    """Describe a request.

    Args:
        request: What was asked.
        options: How.
        endpoint: The store it goes to.
        environment: The process's; only what `REMEMBERED_VARIABLES` names is looked at. A URL that no command
            could use is left out: nothing has parsed it if an option overrides it, and a password may be in it.
        source_endpoint: The store it comes from, when that is another one.
    """
    choices = {
        "recursive": request.recursive,
        "raw": request.raw,
        "checksum": options.checksum.value if options.checksum else "",
        "unsafe_keys": options.unsafe_keys.value,
        "follow_symlinks": options.follow_symlinks,
        "properties": dataclasses.asdict(options.properties),
        "metadata_directive": options.metadata_directive.value if options.metadata_directive else "",
        "tagging_directive": options.tagging_directive.value if options.tagging_directive else "",
    }
    if not options.filters.is_open:
        choices["filters"] = _filters_as_text(options.filters)
    if source_endpoint:
        choices["source_endpoint"] = source_endpoint
    if request.moves:
        choices["moves"] = True
    if request.syncs:
        choices["syncs"] = True
    return JobDescription(
        endpoint=endpoint,
        sources=tuple(_named_alike(source, request) for source in request.sources),
        destination=_named_alike(request.destination, request),
        choices=tuple((name, str(value)) for name, value in choices.items()),
        command=options.command,
        folder=current_folder(),
        environment=tuple(
            (name, environment[name]) for name in REMEMBERED_VARIABLES if _may_be_kept(name, environment.get(name))
        ),
    )


def _filters_as_text(filters: Filters) -> str:
    """The same for filters that mean the same; an age stands for itself, since the moment it means moves on."""
    rules = [f"{'+' if rule.includes else '-'}{rule.pattern}" for rule in filters.rules]
    after = filters.newer_than or filters.modified_after_seconds
    before = filters.older_than or filters.modified_before_seconds
    sizes = (filters.min_size_bytes, filters.max_size_bytes)
    return repr((rules, sizes, after, before, sorted(filters.storage_classes)))


def _may_be_kept(name: str, value: str | None) -> bool:
    if not value or name not in _ENDPOINTS:
        return bool(value)
    try:
        parse_origin(value)
    except UsageError:
        return False
    return True


def _named_alike(place: Location, request: CopyRequest) -> str:
    """One name for all ways of writing a place: below a tree, a slash at the end changes nothing."""
    name = _absolute(place)
    return name.rstrip("/") or "/" if request.recursive else name


def _absolute(place: Location) -> str:
    """The same place, wherever it is named from; a slash at the end says that it is a folder."""
    if not isinstance(place, LocalLocation):
        return str(place)
    path = absolute_path(place.path)
    return path + "/" if place.path.endswith(("/", os.sep)) and path != "/" else path


def _is_pattern(place: Location) -> bool:
    text = place.key if isinstance(place, S3Location) else str(place)
    return has_wildcard(text)
