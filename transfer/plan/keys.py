r"""Which file name a key may become below a target folder, and the reversible escape for keys that may not.

This module owns the definition of a safe key. It looks at text only: whether two keys clash on a disk that
ignores case, or a key is both a file and a folder, is for those who see the disk or the whole listing.

The escape is percent-encoding, so that any URL decoder reads it back:

- `%` itself, control characters and lone surrogates are always encoded; on Windows so are `\ : * ? " < > |`,
  a trailing dot or space, and the first letter of a device name such as `CON`.
- A component `.` or `..` is encoded as a whole.
- A slash that would make an empty component (leading, trailing or doubled) is encoded as `%2F`.
- A component that would be longer than a file name may be continues below a folder whose name ends in a bare
  `%`; a bare `%` at the end of a component stands for nothing when read back.
"""

from __future__ import annotations

import os
import re

from transfer.model.errors import UnsafeKeyError
from transfer.model.options import UnsafeKeyPolicy

MAX_NAME_BYTES = 255
"""The longest file name of ext4, XFS, btrfs and ZFS; APFS and NTFS count characters and allow no less."""

RUNS_ON_WINDOWS = os.name == "nt"

_CHUNK_BYTES = MAX_NAME_BYTES - 5
"""Leaves room for the continuation mark and for encoding the first and the last character of a chunk."""

_CONTROL = frozenset(chr(code) for code in (*range(0x20), 0x7F))
_WINDOWS_CHARACTERS = frozenset('\\:*?"<>|')
_WINDOWS_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"]
)
_ENCODED_RUN = re.compile(r"(?:%[0-9A-F]{2})+")
_CONTINUATION = re.compile(r"%(?:/|\Z)")


def relative_path_of(key: str, policy: UnsafeKeyPolicy, *, windows: bool = RUNS_ON_WINDOWS) -> str:
    """The path, relative to the target folder and with `/` between components, that a key's bytes go to.

    Args:
        key: The key, or what is left of it below the copied prefix.
        policy: ESCAPE accepts every key; ERROR and SKIP accept safe keys only, unchanged, and the caller
            decides whether a refusal fails or is skipped with a warning.
        windows: Whether the target follows the file name rules of Windows.

    Raises:
        UnsafeKeyError: The key is no safe file name and the policy is ERROR or SKIP.
    """
    if policy is UnsafeKeyPolicy.ESCAPE:
        return _escape(key, windows=windows)
    reason = _hazard_of(key, windows=windows)
    if reason:
        raise UnsafeKeyError(
            f"the key is no safe file name: {reason}", subject=key, remedy="use --unsafe-keys skip or escape"
        )
    return key


def unescape_path(path: str) -> str:
    """The key that `relative_path_of` escaped into `path`.

    Raises:
        ValueError: The path was not made by the escape: it encodes bytes that are no UTF-8.
    """
    return _ENCODED_RUN.sub(_decode_run, _CONTINUATION.sub("", path))


def respelled(path: str, depth: int, taken: str) -> str | None:
    """Another path for the key of an escaped path, whose own cannot be had: one more character is encoded.

    Args:
        path: Made by the escape, or by this.
        depth: Which of its components cannot be had, from 0; -1 for the last.
        taken: What has its place. The first character that differs is encoded; in an equal name the first one.

    Returns:
        None when no character is left, or the name would be too long.
    """
    components = path.split("/")
    name = components[depth]
    plain = set(range(len(name))) - _encoded_places(name)
    pairs = enumerate(zip(name, taken, strict=False))
    differs = next((index for index, (one, other) in pairs if one != other), 0)
    for index in sorted(plain, key=lambda index: (index < differs, index)):
        spelled = name[:index] + _percent(name[index]) + name[index + 1 :]
        if len(spelled.encode()) <= MAX_NAME_BYTES:
            components[depth] = spelled
            return "/".join(components)
    return None


def _encoded_places(name: str) -> set[int]:
    places = {place for found in _ENCODED_RUN.finditer(name) for place in range(*found.span())}
    return places | {place for place, character in enumerate(name) if character == "%"}


def is_folder_marker(key: str, size: int) -> bool:
    """Whether an object only says that a folder exists, as consoles and other tools write them.

    An object whose key ends in a slash but that holds bytes is no marker: it is a file with an unsafe key.
    """
    return size == 0 and key.endswith("/")


def _hazard_of(key: str, *, windows: bool) -> str | None:
    if not _is_unicode(key):
        return "it is no UTF-8 text"
    if "\0" in key:
        return "it holds a NUL character"
    if key.startswith("/"):
        return "it starts with a slash"
    for component in key.split("/"):
        reason = _component_hazard(component) or (_windows_hazard(component) if windows else None)
        if reason:
            return reason
    return None


def _component_hazard(component: str) -> str | None:
    if not component:
        return "it has an empty path component"
    if component in (".", ".."):
        return f"it has the path component {component}"
    if len(component.encode()) > MAX_NAME_BYTES:
        return f"a path component is longer than {MAX_NAME_BYTES} bytes"
    return None


def _windows_hazard(component: str) -> str | None:
    if not (_WINDOWS_CHARACTERS | _CONTROL).isdisjoint(component):
        return "it holds a character that Windows does not allow"
    if component[-1] in ". ":
        return "a path component ends in a dot or a space"
    if _is_device(component):
        return "a path component is a device name"
    return None


def _is_device(component: str) -> bool:
    """Windows opens the device whatever extension follows, and ignores spaces before the dot."""
    return component.partition(".")[0].rstrip(" ").upper() in _WINDOWS_DEVICES


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escape(key: str, *, windows: bool) -> str:
    if not key:
        return "%"
    encoded = _CONTROL | {"%"} | (_WINDOWS_CHARACTERS if windows else frozenset())
    components: list[list[str]] = [[]]
    last = len(key) - 1
    for index, character in enumerate(key):
        if character == "/" and components[-1] and index != last:
            components.append([])
        elif character == "/" or character in encoded or "\ud800" <= character <= "\udfff":
            components[-1].append(_percent(character))
        else:
            components[-1].append(character)
    return "/".join(_escape_component(tokens, windows=windows) for tokens in components)


def _escape_component(tokens: list[str], *, windows: bool) -> str:
    whole = _escape_edges(tokens, windows=windows)
    if len(whole.encode()) <= MAX_NAME_BYTES:
        return whole
    return "%/".join(_escape_edges(chunk, windows=windows) for chunk in _chunks(tokens))


def _escape_edges(tokens: list[str], *, windows: bool) -> str:
    """Encode what is dangerous only as a whole component or at its edges."""
    name = "".join(tokens)
    if name in (".", ".."):
        return name.replace(".", "%2E")
    if not windows:
        return name
    if name[-1] in ". ":
        name = name[:-1] + _percent(name[-1])
    return _percent(name[0]) + name[1:] if _is_device(name) else name


def _chunks(tokens: list[str]) -> list[list[str]]:
    chunks: list[list[str]] = [[]]
    length = 0
    for token in tokens:
        size = len(token.encode())
        if length + size > _CHUNK_BYTES:
            chunks.append([])
            length = 0
        chunks[-1].append(token)
        length += size
    return chunks


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _decode_run(match: re.Match[str]) -> str:
    return bytes.fromhex(match.group().replace("%", "")).decode("utf-8", "surrogatepass")
