"""What crash drills move and where to: a server, a bucket, and a folder with one large file and a tree.

Owns the data and the judgement of bytes. The judge of the store is botocore, never the command itself.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.cli import Cli
from tests.support.servers import S3Server, make_s3_client

MIB = 1024 * 1024
LARGE_BYTES = 60 * MIB + 12_345
TREE_LARGE_BYTES = 20 * MIB + 777
TREE_FILES = 60
STORED = "stored/"
TEMPORARY_SUFFIX = ".transfer"


@dataclass(frozen=True, slots=True)
class Stage:
    """A server with a bucket, and data both in a folder and in the store.

    Attributes:
        sources: The folder that holds ``large`` and ``tree``; the same is stored under the prefix ``stored/``.
    """

    server: S3Server
    client: Any
    bucket: str
    sources: Path

    def contents(self, name: str) -> dict[str, bytes]:
        """What a file, or every file of a folder, of the sources holds; by the path below it, "" for a file."""
        return read_tree(self.sources / name)

    def objects(self, prefix: str) -> dict[str, bytes]:
        """What the store holds below a prefix, by the rest of the key."""
        return {key.removeprefix(prefix): self.stored(key) for key in self.sizes(prefix)}

    def stored(self, key: str) -> bytes:
        """What the store holds under a key."""
        body: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of each key that starts with a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", ())}

    def uploads(self) -> list[str]:
        """The keys of the multipart uploads that nobody has ended."""
        found = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        return [upload["Key"] for upload in found]

    def put(self, key: str, content: bytes) -> None:
        """Store an object in one request."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def clear(self, prefix: str) -> None:
        """Remove the objects below a prefix, and every unfinished upload."""
        for key in self.sizes(prefix):
            self.client.delete_object(Bucket=self.bucket, Key=key)
        for upload in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ()):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])


@contextmanager
def make_stage(server: S3Server, folder: Path, bucket: str = "crash-drills") -> Iterator[Stage]:
    """Make the bucket and the data. The command stores it, so that objects have the checksums it gives them."""
    client = make_s3_client(server)
    try:
        client.create_bucket(Bucket=bucket)
        sources = folder / "sources"
        _write(sources / "large", LARGE_BYTES, 0)
        for number, size in enumerate(_tree_sizes()):
            _write(sources / "tree" / f"folder-{number % 7}" / f"file-{number:03}.bin", size, number + 1)
        Cli(server, folder).ok("cp", "-r", "--part-size", "5MiB", str(sources), f"s3://{bucket}/{STORED}")
        yield Stage(server, client, bucket, sources)
    finally:
        client.close()


def read_tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder by its relative path, temporary ones included; a file itself by the path ""."""
    if root.is_file():
        return {"": root.read_bytes()}
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _tree_sizes() -> Iterator[int]:
    chance = random.Random("sizes")
    for number in range(TREE_FILES):
        yield TREE_LARGE_BYTES if number in (14, 41) else chance.randint(1, 200 * 1024)


def _write(path: Path, size: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
