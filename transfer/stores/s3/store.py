"""One request to an object store: where it goes, how it is signed, and what its failure means.

The verbs in `objects`, `multipart` and `listing` are written on top of `S3Store.exchange`. A request is made once:
whether it is made again is decided above, which then tells the store what to learn first (`renew_credentials`,
`learn_region`, `learn_clock`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import lru_cache
from types import TracebackType
from typing import Final

from transfer.model.errors import StoreError, TransferError
from transfer.model.locations import S3Location
from transfer.model.values import dataclass
from transfer.plan.remedies import remedy_of
from transfer.stores.s3.access import Access, BucketEndpoint
from transfer.stores.s3.credentials import Credentials
from transfer.stores.s3.signing import EMPTY_PAYLOAD_HASH, UNSIGNED_PAYLOAD, Signer
from transfer.stores.s3.uri import encode_key, encode_query
from transfer.stores.s3.xml import ErrorBody, parse_error
from transfer.version import __version__
from transfer.wire.connection import Body, FileBody, Request, Response
from transfer.wire.flow import Flow
from transfer.wire.heads import ResponseHead
from transfer.wire.origin import Origin
from transfer.wire.pool import ConnectionPool, Exchange

ERROR_BODY_LIMIT_BYTES: Final = 256 * 1024
PATIENT_SECONDS: Final = 15 * 60.0
"""Silence allowed to requests that make the store join or copy an object: AWS says they may take minutes
(CompleteMultipartUpload, API reference)."""
CREDENTIALS_CHECK_SECONDS: Final = 5.0
"""How long credentials are used before the provider is asked again whether they still are the newest."""
REGION_HEADER: Final = "x-amz-bucket-region"
_USER_AGENT: Final = ("User-Agent", f"transfer/{__version__}")
_CODES_BY_STATUS: Final = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    400: "BadRequest",
    403: "AccessDenied",
    404: "NotFound",
    412: "PreconditionFailed",
    416: "InvalidRange",
    503: "SlowDown",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request in the store's words; `headers` holds lower-case names.

    Attributes:
        patient: The store may be silent for minutes before it answers.
    """

    method: str
    location: S3Location
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = b""
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """A request ready to be sent: where to, and the region it is signed for."""

    origin: Origin
    request: Request
    region: str


class Answered:
    """One request that the store answers with success. A class, as `Exchange` is one."""

    __slots__ = ("_call", "_exchange", "_flow", "_store")

    def __init__(self, store: S3Store, call: Call, flow: Flow) -> None:
        self._store = store
        self._call = call
        self._flow = flow
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> Response:
        exchange, region = await self._store.begin(self._call, self._flow)
        response = await exchange.__aenter__()
        if response.status < 300:
            self._exchange = exchange
            return response
        try:
            error = await _error_of(response, self._call.location)
        except BaseException as failure:
            await exchange.__aexit__(type(failure), failure, None)
            raise
        await exchange.__aexit__(None, None, None)
        error.signed_region = region
        raise error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._exchange is not None:
            await self._exchange.__aexit__(kind, error, traceback)


class S3Store:
    """An object store as one run sees it."""

    def __init__(self, access: Access, pool: ConnectionPool) -> None:
        self._access: Final = access
        self._pool: Final = pool
        self._endpoints: dict[str, BucketEndpoint] = {}
        self._regions: dict[str, str] = {}
        self._signers: dict[str, Signer] = {}
        self._credentials: Credentials | None = None
        self._checked_seconds = float("-inf")
        self._credentials_lock = asyncio.Lock()
        self._generation = 0
        self._clock_offset_seconds = 0.0
        # Learnt by the first listing of a store that does not know version 2.
        self.lists_in_version_1 = False

    @property
    def pool(self) -> ConnectionPool:
        """The connections that its requests go over."""
        return self._pool

    @property
    def credentials_generation(self) -> int:
        """Counts renewals: a request that failed under an older one need not cause another."""
        return self._generation

    def exchange(self, call: Call, flow: Flow | None = None) -> Answered:
        """Send one signed request and lend its successful response until the block ends: for `async with`.

        Raises:
            StoreError: The store answered with an error status.
            WireError: The conversation failed.
            ConfigurationError: No credentials or endpoint.
        """
        return Answered(self, call, flow or Flow())

    async def begin(self, call: Call, flow: Flow) -> tuple[Exchange, str]:
        """The exchange of a signed request, not sent yet, and the region it is signed for; raises as `exchange`."""
        endpoint = await self._endpoint(call.location.bucket)
        request = await self._signed_request(call, endpoint)
        return self._pool.exchange(endpoint.origin, request, flow), endpoint.region

    def signed_now(self, call: Call) -> Signed | None:
        """The request of a call, when nothing has to be asked for first; else None, and `prepare` asks."""
        endpoint = self._endpoints.get(call.location.bucket)
        if endpoint is None or not self._credentials_are_recent():
            return None
        request = self._signed_by(self._known_signer(endpoint.region), call, endpoint)
        return Signed(endpoint.origin, request, endpoint.region)

    async def prepare(self, bucket: str) -> None:
        """Ask for what requests to a bucket are made with: its endpoint, the credentials.

        Raises:
            ConfigurationError: There are none.
        """
        endpoint = await self._endpoint(bucket)
        await self._signer(endpoint.region)

    async def fetch(self, call: Call) -> tuple[Mapping[str, str], bytes]:
        """Make a request whose answer is small, and read it whole: headers and body.

        Raises:
            StoreError: As `exchange`, or a success whose body is an error document, which S3 sends for requests
                that failed after their answer had begun.
            WireError: The conversation failed.
        """
        async with self.exchange(call) as response:
            body = await response.read()
            headers = response.headers
        error = embedded_error(call.location, body, headers)
        if error is not None:
            raise error
        return headers, body

    async def address_of(self, bucket: str) -> str:
        """Where a bucket is, as a URL.

        Raises:
            ConfigurationError: No such place can be named.
        """
        endpoint = await self._endpoint(bucket)
        return f"{endpoint.origin}{endpoint.path_prefix}"

    async def is_same_as(self, other: S3Store, bucket: str) -> bool:
        """Whether both ask the same server for a bucket, as the same user.

        Raises:
            ConfigurationError: One of them has no credentials or no endpoint.
        """
        here, there = await self._endpoint(bucket), await other._endpoint(bucket)
        if (here.origin, here.path_prefix) != (there.origin, there.path_prefix):
            return False
        return await self._access.credentials() == await other._access.credentials()

    async def speaks_tls(self, bucket: str) -> bool:
        """Whether the server of a bucket, meant to be spoken to in http, has the beginning of TLS answered.

        Raises:
            ConfigurationError: No such place can be named.
        """
        endpoint = await self._endpoint(bucket)
        return await self._pool.speaks_tls(endpoint.origin)

    async def renew_credentials(self, generation: int) -> bool:
        """Fetch newer credentials, once for all who failed under the same ones.

        Args:
            generation: `credentials_generation` when the failed request was made.

        Returns:
            Whether there are newer ones now.
        """
        async with self._credentials_lock:
            if generation != self._generation:
                return True
            if not await self._access.renew_credentials():
                return False
            await self._check_credentials()
            # Also when the provider calls the same ones renewed: they are tried again.
            self._generation = generation + 1
            return True

    async def learn_region(self, bucket: str, error: StoreError) -> bool:
        """Take the region of a bucket from an answer that says it is elsewhere, or ask for it; once for all requests.

        The new server follows from the region by the endpoint rules: an address named in an answer is never used,
        so that no answer can send signed requests to another host or to plain http.

        Returns:
            Whether another region than the one the failed request was signed for is known now.
        """
        region = self._regions.get(bucket)
        if region in (None, error.signed_region):
            region = error.region or await self._ask_region(bucket)
            if not region or region == error.signed_region:
                return False
            self._regions[bucket] = region
        known = self._endpoints.get(bucket)
        if known is not None and known.region != region:
            del self._endpoints[bucket]
        return True

    def learn_clock(self, error: StoreError) -> bool:
        """Sign by the store's clock from now on; whether its answer told the time."""
        if error.server_seconds is None:
            return False
        self._clock_offset_seconds = error.server_seconds - time.time()
        return True

    async def _ask_region(self, bucket: str) -> str | None:
        try:
            async with self.exchange(Call("HEAD", S3Location(bucket))) as response:
                return response.headers.get(REGION_HEADER)
        except StoreError as error:
            return error.region
        except TransferError:
            return None

    async def _endpoint(self, bucket: str) -> BucketEndpoint:
        known = self._endpoints.get(bucket)
        if known is None:
            known = await self._access.bucket_endpoint(bucket, self._regions.get(bucket))
            self._endpoints[bucket] = known
        return known

    async def _signed_request(self, call: Call, endpoint: BucketEndpoint) -> Request:
        return self._signed_by(await self._signer(endpoint.region), call, endpoint)

    def _signed_by(self, signer: Signer | None, call: Call, endpoint: BucketEndpoint) -> Request:
        path = f"{endpoint.path_prefix}/{encode_key(call.location.key)}"
        query = encode_query(call.query) if call.query else ""
        headers = call.headers
        if signer is not None:
            has_body = isinstance(call.body, FileBody) or len(call.body) > 0
            signed = signer.sign(
                call.method,
                path,
                query,
                endpoint.origin.host_header,
                headers,
                UNSIGNED_PAYLOAD if has_body else EMPTY_PAYLOAD_HASH,
                time.time() + self._clock_offset_seconds,
            )
            headers = {**headers, **signed}
        return Request(
            call.method,
            f"{path}?{query}" if query else path,
            [_USER_AGENT, *headers.items()],
            call.body,
            PATIENT_SECONDS if call.patient else None,
        )

    async def _signer(self, region: str) -> Signer | None:
        if not self._credentials_are_recent():
            # One asks for all, and never while they are being renewed: old ones must not replace the new.
            async with self._credentials_lock:
                if not self._credentials_are_recent():
                    await self._check_credentials()
        return self._known_signer(region)

    def _known_signer(self, region: str) -> Signer | None:
        if self._credentials is None:
            return None
        signer = self._signers.get(region)
        if signer is None:
            signer = self._signers[region] = Signer(self._credentials, region)
        return signer

    def _credentials_are_recent(self) -> bool:
        return time.monotonic() - self._checked_seconds <= CREDENTIALS_CHECK_SECONDS

    async def _check_credentials(self) -> None:
        found = await self._access.credentials()
        if found != self._credentials:
            if self._credentials is not None:
                # Whoever was refused with the old ones needs no newer ones than these.
                self._generation += 1
            self._signers.clear()
            self._credentials = found
        self._checked_seconds = time.monotonic()


def embedded_error(location: S3Location, body: bytes, headers: Mapping[str, str]) -> StoreError | None:
    """The error that came in the body of a success, as S3 sends it when a request fails after its answer began."""
    error = parse_error(body) if body else None
    return None if error is None else _store_error(location, 200, error, headers)


async def _error_of(response: Response, location: S3Location) -> StoreError:
    """Read the error document of an answer, if it has one, and say what it means."""
    body = b""
    if response.length is None or response.length <= ERROR_BODY_LIMIT_BYTES:
        body = await response.read(ERROR_BODY_LIMIT_BYTES)
    return refusal(location, response.head, body)


def refusal(location: S3Location, head: ResponseHead, body: bytes) -> StoreError:
    """What an answer with an error status means; `body` is its error document, if it has one."""
    code = _CODES_BY_STATUS.get(head.status, head.reason.replace(" ", "") or f"HTTP{head.status}")
    reason = head.reason or f"HTTP status {head.status}"
    fallback = ErrorBody(code=code, message=reason, request_id="", region=None, endpoint=None, bucket=None)
    return _store_error(location, head.status, parse_error(body) or fallback, head.headers)


def _store_error(location: S3Location, status: int, error: ErrorBody, headers: Mapping[str, str]) -> StoreError:
    found = StoreError(
        error.message.strip().rstrip(".") or error.code,
        status=status,
        code=error.code,
        subject=str(location),
        request_id=error.request_id or headers.get("x-amz-request-id", ""),
        region=headers.get(REGION_HEADER) or error.region,
        retry_after_seconds=_retry_after_of(headers),
        server_seconds=http_date_seconds(headers.get("date")),
    )
    found.remedy = remedy_of(found)
    return found


# Objects of one tree were often written in the same second.
@lru_cache(maxsize=64)
def http_date_seconds(text: str | None) -> float | None:
    """Read an HTTP date (RFC 9110, section 5.6.7) as seconds since the epoch; None when it is none."""
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _retry_after_of(headers: Mapping[str, str]) -> float | None:
    """The Retry-After header (RFC 9110, section 10.2.3); its form as a date is used by no store."""
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() and len(text) < 9 else None
