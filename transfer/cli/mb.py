"""`transfer mb`: make a bucket."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.buckets import change_bucket
from transfer.cli.flags import ConnectionFlags, OutputFlags

EXAMPLES = """
Examples:
  transfer mb s3://my-bucket
  transfer mb s3://my-bucket --region eu-central-1
"""


def mb(
    url: Annotated[str, typer.Argument(metavar="URL", help="The new bucket, as s3://bucket.")],
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Make a bucket."""
    return change_bucket("mb", url, (connection, output), lambda transfer, bucket: transfer.make_bucket(bucket))
