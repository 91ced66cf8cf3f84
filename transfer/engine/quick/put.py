"""A small file that was read ahead, in one PUT."""

from __future__ import annotations

from transfer.engine.context import Context
from transfer.engine.fingerprints import finished_file
from transfer.engine.items import UploadItem
from transfer.engine.quick.errand import Done
from transfer.engine.reasons import SMALL_UPLOAD, mover_reason
from transfer.engine.uploading import algorithm_of, body_headers, compare
from transfer.integrity.digests import new_digest
from transfer.model.checksums import Checksum, ChecksumAlgorithm
from transfer.model.locations import S3Location
from transfer.model.receipts import Mover, Receipt
from transfer.plan.content_types import guess_content_type
from transfer.stores.local.source import ReadFile
from transfer.stores.s3.objects import written_from_answer
from transfer.stores.s3.properties import property_headers
from transfer.stores.s3.store import Call
from transfer.wire.quick import Answer


class Put:
    """See `transfer.engine.quick.errand.Errand`."""

    __slots__ = ("_checksum", "_context", "_source", "body_bytes", "item")

    is_upload = True

    def __init__(self, context: Context, item: UploadItem, source: ReadFile) -> None:
        self._context = context
        self._source = source
        self._checksum: Checksum | None = None
        self.item = item
        self.body_bytes = source.size

    @property
    def location(self) -> S3Location:
        """See `Errand.location`."""
        return self.item.destination

    def call(self) -> Call:
        """See `Errand.call`."""
        context, source = self._context, self._source
        algorithm = algorithm_of(context)
        headers = property_headers(context.options.properties, guess_content_type(source.path), source.mtime_ns)
        if algorithm is not ChecksumAlgorithm.NONE:
            digest = new_digest(algorithm)
            digest.update(source.content)
            headers.update(body_headers(algorithm, digest.value()))
            self._checksum = Checksum(algorithm, headers[algorithm.header])
        return Call("PUT", self.item.destination, (), headers, source.content)

    def conclude(self, answer: Answer, mover: Mover, seconds: float) -> Done:
        """See `Errand.conclude`."""
        context, item, size, ours = self._context, self.item, self._source.size, self._checksum
        written = written_from_answer(item.destination, answer.head.headers, bytes(answer.body), mover)
        proof = compare(context, item.destination, ours, written.etag, written.checksums)
        destination = str(item.destination)
        receipt = Receipt(
            source=item.path,
            destination=destination,
            size=size,
            etag=written.etag,
            version_id=written.version_id,
            checksum=ours,
            verified_by=proof,
            seconds=seconds,
            retries=0,
            mover=mover if size else Mover.NONE,
            mover_reason=mover_reason(mover, SMALL_UPLOAD) if size else None,
        )
        note = (destination, finished_file(size, self._source.mtime_ns), size)
        return Done(receipt, note if context.counts_as_finished(proof) else None, size - (item.size or 0))
