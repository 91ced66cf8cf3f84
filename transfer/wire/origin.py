"""The server end of a connection: scheme, host and port, as RFC 6454 calls an origin."""

from __future__ import annotations

from urllib.parse import urlsplit

from transfer.model.errors import UsageError
from transfer.model.values import dataclass

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect; `host` is without brackets even for an IPv6 address."""

    scheme: str
    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def host_header(self) -> str:
        """The Host header: the port is left out when it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}"


def parse_origin(url: str) -> tuple[Origin, str]:
    """Split a URL into its origin and its path.

    Returns:
        The origin and the path without a trailing slash ("" for the root).

    Raises:
        UsageError: Another scheme than http or https, no host, an impossible port, or a name and password in it,
            which no store takes and logs would repeat.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError("not a URL", subject=url, remedy="write http://host:port or https://host") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise UsageError("not an http or https URL", subject=url, remedy="write http://host:port or https://host")
    if parts.username is not None or parts.password is not None:
        raise UsageError("a URL with a name or password in it", remedy="use a profile or variables for keys")
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    return Origin(parts.scheme, parts.hostname, port), parts.path.rstrip("/")
