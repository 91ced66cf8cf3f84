"""Which proxy, if any, stands between us and an origin: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in either case.

The reading of those variables is the standard library's; a proxy's password never appears in an error.
"""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import field
from urllib.parse import unquote, urlsplit

from transfer.model.errors import ConfigurationError, UsageError
from transfer.model.values import dataclass
from transfer.wire.origin import Origin, parse_origin


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where the proxy listens and what it wants to be told; `authorization` is a Proxy-Authorization value."""

    origin: Origin
    authorization: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers that only the proxy may see."""
        return (("Proxy-Authorization", self.authorization),) if self.authorization else ()


def proxy_for(origin: Origin) -> Proxy | None:
    """Ask the environment for the proxy of an origin.

    Raises:
        ConfigurationError: The variable holds no http:// URL.
    """
    # The standard library's module takes longer to load than a small object to send.
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import (  # type: ignore[attr-defined]  # unknown to the stubs
        getproxies_environment,
        proxy_bypass_environment,
    )

    proxies = getproxies_environment()
    url = proxies.get(origin.scheme) or proxies.get("all")
    if not url or proxy_bypass_environment(f"{origin.host}:{origin.port}", proxies):
        return None
    try:
        return _parse_proxy(url if "://" in url else f"http://{url}")
    except (ValueError, UsageError):
        # The cause quotes the URL, password and all.
        raise ConfigurationError(
            "the proxy variable is not an http:// URL",
            subject=f"{origin.scheme.upper()}_PROXY",
            remedy="write http://host:port, with special characters of a password percent-encoded",
        ) from None


def _parse_proxy(url: str) -> Proxy:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("no http:// URL")
    address, _ = parse_origin(f"http://{parts.netloc.rpartition('@')[2]}")
    if parts.username is None:
        return Proxy(address)
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(address, f"Basic {b64encode(secret.encode()).decode('ascii')}")
