"""What can go wrong, as values that answer: what happened, to which object, and what should the user do?

Whether an error is worth another attempt is decided in `transfer.plan.retry`, from these types and their fields,
never from message text.
"""

from __future__ import annotations


class TransferError(Exception):
    """The base of every error the package raises on purpose.

    Attributes:
        kind: A stable snake-case name for machines, the same in JSON output and in tests.
        message: What happened, in one line, without the subject.
        subject: The object, path or option it happened to, or None.
        remedy: What the user can do about it, in one line, or None.
    """

    kind = "error"

    def __init__(self, message: str, *, subject: str | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes whole: pickle knows nothing of keywords or causes by itself."""
        return _restored, (type(self), self.args, self.__dict__, self.__cause__)

    def __str__(self) -> str:
        """One line: subject, what happened, what to do."""
        line = f"{self.subject}: {self.message}" if self.subject else self.message
        return f"{line}; {self.remedy}" if self.remedy else line


def _restored(
    kind: type[TransferError], args: tuple[object, ...], state: dict[str, object], cause: BaseException | None
) -> TransferError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class UsageError(TransferError):
    """The request itself makes no sense: a bad location, option or combination. Nothing was attempted."""

    kind = "usage"


class ConfigurationError(TransferError):
    """The run cannot work as configured: no credentials, an unknown profile, a bad certificate bundle."""

    kind = "configuration"


class LocalFileError(TransferError):
    """The local file system refused: missing path, no permission, no space, not a regular file."""

    kind = "local_file"

    @classmethod
    def from_os_error(cls, error: OSError, path: str) -> LocalFileError:
        """Name the path and the system's reason; `remedy` covers the reasons that have an obvious one."""
        import errno

        remedies = {
            errno.ENOENT: "check the path",
            errno.EACCES: "check the permissions",
            errno.EPERM: "check the permissions",
            errno.ENOSPC: "free space on the disk or choose another folder",
            errno.EDQUOT: "the disk quota is used up: free space or choose another folder",
            errno.EMFILE: "raise the limit of open files (ulimit -n) or lower --concurrency",
            errno.ENAMETOOLONG: "the name is longer than the file system allows; see --unsafe-keys",
            errno.EROFS: "the file system is read-only: choose another folder",
        }
        reason = (error.strerror or type(error).__name__).lower()
        found = cls(reason, subject=path, remedy=remedies.get(error.errno or 0))
        found.__cause__ = error
        return found


class TargetFolderError(LocalFileError):
    """The folder that everything goes below cannot be opened or made: no file below it can be."""


class SourceChangedError(TransferError):
    """The source changed while it was read, so what was moved is no version of it that ever existed."""

    kind = "source_changed"


class SourceStaysError(TransferError):
    """A move that is a copy now: its source could not be removed, for the reason that is its cause."""

    kind = "source_stays"


class HeldError(TransferError):
    """Another living process works on the same thing: one of the two has to wait."""

    kind = "held"


class ChecksumMismatchError(TransferError):
    """The bytes that arrived are not the bytes that were sent, even after they were fetched again."""

    kind = "checksum_mismatch"


class UnsafeKeyError(TransferError):
    """A key that is no safe file name below the target folder."""

    kind = "unsafe_key"


class NameClashError(UnsafeKeyError):
    """A key needs a name in the target folder that something else has there, most likely another key.

    Attributes:
        depth: Which component of the relative path it is about, from 0; -1 for the last.
        taken: That component as the disk spells it.
    """

    def __init__(
        self, message: str, *, taken: str, depth: int = -1, subject: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(
            message,
            subject=subject,
            remedy=remedy or "use --unsafe-keys skip or escape, or another folder for one of them",
        )
        self.taken = taken
        self.depth = depth


class WireError(TransferError):
    """The conversation with the server failed below HTTP semantics.

    Attributes:
        answered: True when at least one byte of the answer had arrived.
        reused: True when the connection had served an earlier request: a server may close an idle connection at any
            moment, so a failure before the first byte of the answer says nothing about this request.
    """

    kind = "connection"

    def __init__(
        self,
        message: str,
        *,
        subject: str | None = None,
        remedy: str | None = None,
        answered: bool = False,
        reused: bool = False,
    ) -> None:
        super().__init__(message, subject=subject, remedy=remedy)
        self.answered = answered
        self.reused = reused


class ConnectError(WireError):
    """No connection could be made: name resolution, refusal, no route, at every address of the host."""

    kind = "connect"


class TlsError(WireError):
    """The TLS handshake failed for a reason that another attempt does not change: the certificate is not trusted."""

    kind = "tls"


class SchemeError(WireError):
    """The endpoint's URL says http where the server speaks https, or the other way round: it never understood."""

    kind = "scheme"

    def __init__(self, spoken: str) -> None:
        """Name what the server speaks, `http` or `https`."""
        super().__init__(
            f"the server speaks {spoken} there",
            remedy=f"use {spoken}:// in --endpoint-url or AWS_ENDPOINT_URL",
            answered=True,
        )


class StalledError(WireError):
    """No byte moved in either direction for the stall deadline."""

    kind = "stalled"


class ProtocolError(WireError):
    """The server's bytes are no HTTP/1.1 answer this client accepts."""

    kind = "protocol"


class OutsidePrefixError(ProtocolError):
    """A listing below a prefix shows names that do not start with it: whatever is done with them may be wrong."""


class UnorderedListingError(TransferError):
    """The store lists keys in another order than that of their UTF-8 bytes, where that order is needed."""

    kind = "unordered_listing"


class DeletionRefusedError(TransferError):
    """More would be removed than was allowed; nothing was removed."""

    kind = "deletion_refused"


class StoreError(TransferError):
    """The store answered with an error.

    Attributes:
        status: The HTTP status; 200 when an error came in the body of a success.
        code: The store's error code, such as `NoSuchKey`; the HTTP reason when the answer had no body.
        request_id: The store's name for the request, or "".
        region: The bucket's region, when the answer named it, or None.
        retry_after_seconds: The store's wish for a pause, or None.
        server_seconds: The store's clock when it answered, seconds since the epoch, or None.
        signed_region: What the request had been signed for, or None when that is not known.
    """

    kind = "store"

    def __init__(  # noqa: PLR0913 - an answer has that many facts, all named
        self,
        message: str,
        *,
        status: int,
        code: str,
        subject: str | None = None,
        remedy: str | None = None,
        request_id: str = "",
        region: str | None = None,
        retry_after_seconds: float | None = None,
        server_seconds: float | None = None,
    ) -> None:
        super().__init__(message, subject=subject, remedy=remedy)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.region = region
        self.retry_after_seconds = retry_after_seconds
        self.server_seconds = server_seconds
        self.signed_region: str | None = None
