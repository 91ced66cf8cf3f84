"""Options that name a second store, for copies from bucket to bucket that pass through this process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from transfer.model.errors import UsageError
from transfer.model.options import AddressingStyle, ConnectionOptions
from transfer.model.values import dataclass

_DESTINATION = "Destination in another store"


@dataclass(frozen=True, slots=True)
class DestinationFlags:
    """How to reach the destination when it is not where the source is; None and False mean: not given."""

    dest_endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--dest-endpoint-url",
            metavar="URL",
            help="The destination's server; with the source's credentials unless --dest-profile is given.",
            rich_help_panel=_DESTINATION,
        ),
    ] = None
    dest_profile: Annotated[
        str | None,
        typer.Option(
            "--dest-profile",
            metavar="NAME",
            help="A profile of ~/.aws that says all of the destination: credentials, region, endpoint.",
            rich_help_panel=_DESTINATION,
        ),
    ] = None
    dest_region: Annotated[
        str | None,
        typer.Option(
            "--dest-region",
            metavar="NAME",
            help="The destination bucket's region.",
            rich_help_panel=_DESTINATION,
        ),
    ] = None
    dest_addressing_style: Annotated[
        AddressingStyle | None,
        typer.Option(
            "--dest-addressing-style",
            help="As --addressing-style.",
            rich_help_panel=_DESTINATION,
        ),
    ] = None
    dest_ca_bundle: Annotated[
        Path | None,
        typer.Option(
            "--dest-ca-bundle",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="As --ca-bundle.",
            rich_help_panel=_DESTINATION,
        ),
    ] = None
    dest_no_verify_tls: Annotated[
        bool,
        typer.Option(
            "--dest-no-verify-tls",
            help="As --no-verify-tls.",
            rich_help_panel=_DESTINATION,
        ),
    ] = False

    def options(self, base: ConnectionOptions) -> ConnectionOptions | None:
        """The engine's options of the destination; None when nothing was given.

        A server named here is described here alone: region, addressing style and trust are the source's only where the
        server is. With a profile of its own the destination is what that profile says, and no variable of the
        environment has a say. Requests to it are signed also when those for a public source are not.

        Args:
            base: Those of the source.

        Raises:
            UsageError: Two options contradict each other.
        """
        if self == DestinationFlags():
            return None
        if self.dest_ca_bundle is not None and self.dest_no_verify_tls:
            raise UsageError(
                "contradicts --dest-no-verify-tls", subject="--dest-ca-bundle", remedy="give one of the two"
            )
        names_server = self.dest_endpoint_url is not None or self.dest_profile is not None
        server = ConnectionOptions() if names_server else base
        ca_bundle = server.ca_bundle if self.dest_ca_bundle is None else str(self.dest_ca_bundle)
        return ConnectionOptions(
            endpoint_url=self.dest_endpoint_url or server.endpoint_url,
            profile=self.dest_profile or base.profile,
            region=self.dest_region or server.region,
            addressing_style=self.dest_addressing_style or server.addressing_style,
            verify_tls=(server.verify_tls or self.dest_ca_bundle is not None) and not self.dest_no_verify_tls,
            ca_bundle=None if self.dest_no_verify_tls else ca_bundle,
            stall_seconds=base.stall_seconds,
            heeds_environment=self.dest_profile is None,
        )
