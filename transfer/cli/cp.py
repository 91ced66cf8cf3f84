"""`transfer cp`: move objects and files, tell each outcome, and sum up."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from transfer.cli.copy_flags import CopyFlags
from transfer.cli.copy_run import CopyRun
from transfer.cli.destination_flags import DestinationFlags
from transfer.cli.filter_flags import FilterFlags
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.list_flags import ListFlags

EXAMPLES = """
Examples:
  Upload a file, download an object:
    transfer cp report.pdf s3://bucket/docs/
    transfer cp s3://bucket/docs/report.pdf .

  Folders, prefixes and wildcards (quoted, so that the shell leaves them):
    transfer cp -r photos s3://bucket/photos/
    transfer cp -r s3://bucket/photos/ photos
    transfer cp 's3://bucket/logs/2024-*.gz' logs/

  Some of a folder (see Filters above); -n tells first what it would be:
    transfer cp -r photos s3://bucket/p/ --include '*.jpg' --exclude drafts/
    transfer cp -r s3://bucket/logs/ logs --newer-than 7d --max-size 1G -n

  From bucket to bucket, by the store itself: no byte comes here:
    transfer cp s3://bucket/a.mov s3://archive/a.mov --storage-class GLACIER_IR
    transfer cp -r s3://bucket/photos/ s3://archive/photos/

  From standard input, to standard output:
    pg_dump shop | transfer cp - s3://bucket/shop.sql
    transfer cp s3://bucket/shop.sql - | psql shop

  From one store to another, through this machine:
    transfer cp -r s3://here/photos/ s3://there/photos/ \\
      --dest-endpoint-url http://localhost:9000 --dest-profile local

  What a file names, each line a path below a folder:
    transfer cp --from-file list.txt --root photos s3://bucket/photos/

  A store other than AWS, a proof per object kept in a file:
    transfer cp -r data s3://bucket/data/ --endpoint-url http://localhost:9000 \\
      --require-verified --manifest receipts.jsonl

A path that exists is taken as it is, wildcards or not; so is a key whose only
wildcard is [ (this costs one request). --raw takes all names so.
A DESTINATION that ends in / or is an existing folder keeps the sources' names.
Each upload and download is verified with a checksum; -v shows with which.
From bucket to bucket, what the store keeps of both sides is compared.
"""


def cp(
    locations: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE... DESTINATION", help="Paths, s3://bucket/key, or - for standard input or output."
        ),
    ],
    copying: CopyFlags,
    filtering: FilterFlags,
    listing: ListFlags,
    connection: ConnectionFlags,
    second: DestinationFlags,
    output: OutputFlags,
) -> int:
    """Copy between disks and buckets, or inside a store, verified."""
    sources, destination = listing.places("cp", locations)
    options = dataclasses.replace(copying.options(), filters=filtering.filters())
    first = connection.options()
    copy = CopyRun(sources, destination, copying, first, options, output.output(), second.options(first))
    copy.recursive, copy.raw = copying.recursive, copying.raw
    copy.tally.is_dry_run = copying.dry_run
    copy.listing = listing
    return copy.run()
