"""The short way to an endpoint and credentials, when the environment states both in plain words.

Asking aiobotocore costs half a second of imports. When keys stand in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the
endpoint is named, and no profile or configuration file says more than a region, its answer is known beforehand:
environment keys come first in the credential chain and a named endpoint is addressed in path style. This module must
answer exactly as `transfer.stores.s3.botocore_access` would, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from configparser import Error as ConfigParserError
from configparser import RawConfigParser
from pathlib import Path

from transfer.model.options import AddressingStyle, ConnectionOptions
from transfer.stores.s3.access import DEFAULT_REGION, Access, BucketEndpoint
from transfer.stores.s3.credentials import Credentials
from transfer.stores.s3.uri import encode_key
from transfer.wire.origin import Origin, parse_origin

_UNDERSTOOD_KEYS = frozenset({"region", "output", "cli_pager"})
"""Keys of a default profile that change nothing but the region; with any other one aiobotocore is asked."""


class StaticAccess(Access):
    """Fixed keys, a fixed server, path style."""

    def __init__(self, origin: Origin, path: str, region: str, credentials: Credentials | None) -> None:
        self._origin = origin
        self._path = path
        self._region = region
        self._credentials = credentials

    async def credentials(self) -> Credentials | None:
        """See `Access.credentials`."""
        return self._credentials

    async def renew_credentials(self) -> bool:
        """See `Access.renew_credentials`: what stands in the environment does not change."""
        return False

    async def bucket_endpoint(self, bucket: str, region: str | None) -> BucketEndpoint:
        """See `Access.bucket_endpoint`."""
        return BucketEndpoint(self._origin, f"{self._path}/{encode_key(bucket)}", region or self._region)


def static_access(options: ConnectionOptions, environment: Mapping[str, str]) -> StaticAccess | None:
    """Answer when the environment alone decides, else None.

    Raises:
        UsageError: The named endpoint is no URL.
    """
    if not options.heeds_environment:
        return None
    if options.profile or environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE"):
        return None
    if options.addressing_style is AddressingStyle.VIRTUAL:
        return None
    endpoint_url = options.endpoint_url or _endpoint_of(environment)
    credentials = _credentials_of(environment) if options.sign_request else None
    if not endpoint_url or (options.sign_request and credentials is None):
        return None
    configured = _default_profile(environment)
    if configured is None:
        return None
    origin, path = parse_origin(endpoint_url)
    region = region_of(options, environment) or configured.get("region") or DEFAULT_REGION
    return StaticAccess(origin, path, region, credentials)


def region_of(options: ConnectionOptions, environment: Mapping[str, str]) -> str | None:
    """The region the user named; AWS_REGION is read by most SDKs, AWS_DEFAULT_REGION by botocore."""
    if not options.heeds_environment:
        return options.region
    return options.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None


def _endpoint_of(environment: Mapping[str, str]) -> str | None:
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")


def _credentials_of(environment: Mapping[str, str]) -> Credentials | None:
    access_key = environment.get("AWS_ACCESS_KEY_ID")
    secret_key = environment.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        return None
    # Both names are botocore's; the second is its old one.
    token = environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN")
    return Credentials(access_key, secret_key, token or None)


def _default_profile(environment: Mapping[str, str]) -> Mapping[str, str] | None:
    """What the configuration file says of the default profile; None when it may say more than is understood here.

    The credentials file has no say: environment keys come before it.
    """
    path = Path(environment.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    if not path.is_file():
        return {}
    parser = RawConfigParser(default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ConfigParserError):
        return None
    if parser.has_section("profile default"):
        return None
    found = dict(parser["default"]) if parser.has_section("default") else {}
    return found if found.keys() <= _UNDERSTOOD_KEYS else None
