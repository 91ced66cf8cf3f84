"""Which media type a file name suggests, the same on every machine.

The system's own tables (/etc/mime.types, the Windows registry) are not asked: an upload from a laptop and one
from a server must store the same object. The contents are never read.
"""

from __future__ import annotations

import mimetypes
import posixpath
from collections.abc import Mapping
from functools import cache

_COMPRESSED = {
    ".br": None,
    ".bz2": "application/x-bzip2",
    ".gz": "application/gzip",
    ".svgz": "application/gzip",
    ".taz": "application/gzip",
    ".tbz2": "application/x-bzip2",
    ".tgz": "application/gzip",
    ".txz": "application/x-xz",
    ".xz": "application/x-xz",
    ".z": None,
    ".zst": "application/zstd",
}
"""A compressed file is what its bytes are: `page.html.gz` is text/html only with a Content-Encoding."""

_MEDIA = {
    ".aac": "audio/aac",
    ".arw": "image/x-sony-arw",
    ".avif": "image/avif",
    ".braw": "video/x-braw",
    ".cr2": "image/x-canon-cr2",
    ".cr3": "image/x-canon-cr3",
    ".dng": "image/x-adobe-dng",
    ".dpx": "image/x-dpx",
    ".exr": "image/x-exr",
    ".flac": "audio/flac",
    ".flv": "video/x-flv",
    ".heic": "image/heic",
    ".jpg": "image/jpeg",
    ".m2ts": "video/mp2t",
    ".m4a": "audio/mp4",
    ".m4s": "video/iso.segment",
    ".m4v": "video/x-m4v",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".mpd": "application/dash+xml",
    ".mts": "video/mp2t",
    ".mxf": "application/mxf",
    ".nef": "image/x-nikon-nef",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".parquet": "application/vnd.apache.parquet",
    ".r3d": "video/x-r3d",
    ".srt": "application/x-subrip",
    ".ts": "video/mp2t",
    ".vtt": "text/vtt",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".wmv": "video/x-ms-wmv",
}
"""What the standard library does not know, or names differently from one Python version to the next."""


def guess_content_type(name: str) -> str | None:
    """The media type a file name or key suggests.

    Returns:
        None when the name suggests nothing. No Content-Type is sent then and the store keeps its own default
        (S3: binary/octet-stream), as `aws s3 cp` does.
    """
    extension = posixpath.splitext(name)[1].lower()
    if extension in _COMPRESSED:
        return _COMPRESSED[extension]
    return _table().get(extension)


@cache
def _table() -> Mapping[str, str]:
    """The standard library's built-in table below ours; a fresh instance holds nothing of the system's."""
    return mimetypes.MimeTypes().types_map[1] | _MEDIA
