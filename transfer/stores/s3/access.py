"""How a store is reached and as whom: the answers to "which server, which region, whose keys".

`Access` is the interface. `transfer.stores.s3.static_access` answers at once what the environment says in plain words;
`transfer.stores.s3.botocore_access` asks aiobotocore for everything else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from transfer.model.values import dataclass
from transfer.stores.s3.credentials import Credentials
from transfer.wire.origin import Origin

DEFAULT_REGION = "us-east-1"
"""Signed for when nobody names a region: what AWS takes as its global one and most other stores ignore."""


@dataclass(frozen=True, slots=True)
class BucketEndpoint:
    """Where the keys of one bucket live: requests go to `origin`, with `path_prefix` before the encoded key.

    Attributes:
        path_prefix: Encoded, without a trailing slash: `/bucket` in path style, "" when the bucket is in the host.
        region: What requests are signed for.
    """

    origin: Origin
    path_prefix: str
    region: str


class Access(ABC):
    """Where and as whom, for one run."""

    @abstractmethod
    async def credentials(self) -> Credentials | None:
        """The current credentials, refreshed when they are about to expire; None to stay anonymous.

        Raises:
            ConfigurationError: There are none.
        """

    @abstractmethod
    async def renew_credentials(self) -> bool:
        """Look for newer credentials because the store calls the current ones expired; whether there were any."""

    @abstractmethod
    async def bucket_endpoint(self, bucket: str, region: str | None) -> BucketEndpoint:
        """Where a bucket is.

        Args:
            bucket: Its name.
            region: What the store said when asked in the wrong region, or None.

        Raises:
            ConfigurationError: No such place can be named.
        """

    async def aclose(self) -> None:  # noqa: B027 - most have nothing to release
        """Release what the answers were got with."""
