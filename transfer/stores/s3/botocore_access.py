"""Endpoint, region, addressing style and credentials as aiobotocore finds them: profiles, SSO, roles, IMDS, refresh.

A presigned URL of one dummy key tells, through public API, the exact scheme, host and path prefix of a bucket; the
requests themselves never go through aiobotocore. Importing it takes half a second, so this module is imported only
when `transfer.stores.s3.static_access` has no answer, or for bucket administration.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
    SSLError,
)
from botocore.exceptions import (
    ConnectionError as BotocoreConnectionError,
)

from transfer.model.errors import ConfigurationError, ConnectError, StoreError, TransferError, UsageError
from transfer.model.options import AddressingStyle, ConnectionOptions
from transfer.plan.remedies import remedy_of
from transfer.stores.s3.access import DEFAULT_REGION, Access, BucketEndpoint
from transfer.stores.s3.credentials import Credentials
from transfer.wire.dial import reason_of
from transfer.wire.origin import parse_origin

_DUMMY_KEY = "k"
_DOWN_REMEDY = "check that the endpoint URL is right and the server is up"
_MISUNDERSTOOD_REMEDY = "check the endpoint URL (http or https?), and --ca-bundle if it names a certificate"
NO_CREDENTIALS_REMEDY = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, or use --no-sign-request for a public bucket"
)


class BotocoreAccess(Access):
    """What an aiobotocore session answers."""

    def __init__(self, options: ConnectionOptions, region: str | None) -> None:
        """Ask nothing yet.

        Args:
            options: What the user chose.
            region: What the user or the environment named, or None for what the profile says.
        """
        self._options = options
        self._region = region
        self._session = AioSession(profile=options.profile)
        self._source: Any = None
        self._current: Credentials | None = None
        self._clients: dict[str | None, Any] = {}
        self._stack = AsyncExitStack()
        # Requests that begin together find credentials and clients once: a source may be a process or a login.
        self._lock = asyncio.Lock()

    async def credentials(self) -> Credentials | None:
        """See `Access.credentials`."""
        if not self._options.sign_request:
            return None
        with botocore_errors():
            async with self._lock:
                if self._source is None:
                    self._source = await self._session.get_credentials()
            if self._source is None:
                raise ConfigurationError("no credentials were found", remedy=NO_CREDENTIALS_REMEDY)
            frozen = await self._source.get_frozen_credentials()
        found = Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)
        if found != self._current:
            self._current = found
        return self._current

    async def renew_credentials(self) -> bool:
        """See `Access.renew_credentials`: a fresh session reads files, caches and services again."""
        before = self._current
        async with self._lock:
            self._session = AioSession(profile=self._options.profile)
            self._source = None
        return await self.credentials() != before

    async def bucket_endpoint(self, bucket: str, region: str | None) -> BucketEndpoint:
        """See `Access.bucket_endpoint`."""
        await self.credentials()
        with botocore_errors():
            client = await self._client(region)
            url = await client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": _DUMMY_KEY})
        origin, _ = parse_origin(url)
        path = urlsplit(url).path.removesuffix(f"/{_DUMMY_KEY}")
        return BucketEndpoint(origin, path, region or client.meta.region_name or DEFAULT_REGION)

    @asynccontextmanager
    async def administration(self, region: str | None = None) -> AsyncIterator[Any]:
        """An aiobotocore S3 client for what happens once per bucket; its errors come out as ours."""
        await self.credentials()
        with botocore_errors():
            yield await self._client(region)

    async def aclose(self) -> None:
        """See `Access.aclose`."""
        self._clients.clear()
        await self._stack.aclose()

    async def _client(self, region: str | None) -> Any:  # noqa: ANN401 - aiobotocore has no types
        async with self._lock:
            if region not in self._clients:
                self._clients[region] = await self._stack.enter_async_context(
                    self._session.create_client(
                        "s3",
                        region_name=region or self._region or self._profile_region() or DEFAULT_REGION,
                        endpoint_url=self._endpoint_url(),
                        verify=self._options.ca_bundle or (None if self._options.verify_tls else False),
                        config=self._config(),
                    )
                )
        return self._clients[region]

    def _profile_region(self) -> str | None:
        region: str | None
        if self._options.heeds_environment:
            region = self._session.get_config_variable("region")
        else:
            region = self._session.get_scoped_config().get("region")
        return region

    def _endpoint_url(self) -> str | None:
        """What is named, or what the profile says where the environment has no say; None for botocore's own way.

        In a profile, the service's own endpoint comes before the one for all (AWS SDKs and Tools Reference Guide,
        "Service-specific endpoints").
        """
        if self._options.endpoint_url or self._options.heeds_environment:
            return self._options.endpoint_url
        profile = self._session.get_scoped_config()
        services = self._session.full_config.get("services", {}).get(profile.get("services"), {})
        url: str | None = services.get("s3", {}).get("endpoint_url") or profile.get("endpoint_url")
        return url

    def _config(self) -> AioConfig:
        style = self._options.addressing_style
        s3 = {"us_east_1_regional_endpoint": "regional"}
        if style is not AddressingStyle.AUTO:
            s3["addressing_style"] = style.value
        return AioConfig(
            # Its older way took up to 13 s to say that nobody is there, this one 1.5 to 2.7.
            retries={"mode": "standard"},
            signature_version="s3v4" if self._options.sign_request else UNSIGNED,
            s3=s3,
            ignore_configured_endpoint_urls=None if self._options.heeds_environment else True,
        )


class botocore_errors:  # noqa: N801 - used as a statement, like contextlib.suppress
    """A block in which errors of botocore come out as ours."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Translate.

        Raises:
            TransferError: What the botocore error means to a user.
        """
        if isinstance(error, (BotoCoreError, ClientError)):
            raise _translated(error) from error


def _translated(error: BotoCoreError | ClientError) -> TransferError:
    if isinstance(error, ClientError):
        return _store_error(error)
    if isinstance(error, ProfileNotFound):
        return ConfigurationError(str(error), remedy="check --profile and AWS_PROFILE against ~/.aws/config")
    if isinstance(error, NoCredentialsError):
        return ConfigurationError("no credentials were found", remedy=NO_CREDENTIALS_REMEDY)
    if isinstance(error, NoRegionError):
        return ConfigurationError("no region is known", remedy="name one with --region")
    if isinstance(error, EndpointConnectionError):
        return _connect_error(error)
    if isinstance(error, (BotocoreConnectionError, ConnectionClosedError)):
        is_up = isinstance(error, (SSLError, ConnectionClosedError))
        return ConnectError(str(error), remedy=_MISUNDERSTOOD_REMEDY if is_up else _DOWN_REMEDY)
    if isinstance(error, (ParamValidationError, ValueError)):
        return UsageError(" ".join(str(error).split()), remedy="check the bucket name and the endpoint URL")
    return ConfigurationError(" ".join(str(error).split()), remedy="check the AWS configuration and credentials")


def _connect_error(error: EndpointConnectionError) -> ConnectError:
    """Say it as the data plane does; below botocore's error is aiohttp's, and below that the system's."""
    origin, _ = parse_origin(error.kwargs["endpoint_url"])
    failure = getattr(error.kwargs.get("error"), "os_error", None)
    if isinstance(failure, socket.gaierror):
        message, remedy = f"the name {origin.host} cannot be resolved", "check the endpoint URL and the network"
    else:
        message, remedy = f"cannot connect: {reason_of(failure)}", _DOWN_REMEDY
    return ConnectError(message, subject=str(origin), remedy=remedy)


def _store_error(error: ClientError) -> StoreError:
    answer: dict[str, Any] = error.response
    details = answer.get("Error", {})
    metadata = answer.get("ResponseMetadata", {})
    found = StoreError(
        str(details.get("Message", "") or details.get("Code", "refused")).strip().rstrip("."),
        status=int(metadata.get("HTTPStatusCode", 0)),
        code=str(details.get("Code", "")),
        request_id=str(metadata.get("RequestId", "")),
    )
    found.remedy = remedy_of(found)
    return found
