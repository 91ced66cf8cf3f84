"""`transfer rb`: remove an empty bucket."""

from __future__ import annotations

from typing import Annotated

import typer

from transfer.cli.buckets import change_bucket
from transfer.cli.flags import ConnectionFlags, OutputFlags

EXAMPLES = """
Examples:
  transfer rb s3://my-bucket

Only an empty bucket can be removed. To empty it first, for good:
  transfer rm -r s3://my-bucket/
"""


def rb(
    url: Annotated[str, typer.Argument(metavar="URL", help="The bucket, as s3://bucket.")],
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Remove an empty bucket."""
    return change_bucket("rb", url, (connection, output), lambda transfer, bucket: transfer.remove_bucket(bucket))
