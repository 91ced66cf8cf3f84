"""A small object of a listing, in one GET: received into memory and proved there."""

from __future__ import annotations

from dataclasses import replace

from transfer.engine.context import Context
from transfer.engine.fingerprints import finished_object
from transfer.engine.items import DownloadItem
from transfer.engine.quick.errand import Arrived, DamagedError, Done
from transfer.engine.reasons import mover_reason
from transfer.engine.receiving import mtime_ns_of
from transfer.engine.relay_reading import checksum_of_content
from transfer.engine.verifying import DownloadPlan, matches, proof_of
from transfer.integrity.verification import VerificationKind, choose_verification
from transfer.model.checksums import VerifiedBy
from transfer.model.errors import ProtocolError
from transfer.model.locations import S3Location
from transfer.model.objects import ListedObject
from transfer.model.receipts import Mover, Receipt
from transfer.stores.local.landing import WholeFile
from transfer.stores.s3.objects import Wanted, get_call, object_info, require_version
from transfer.stores.s3.store import Call
from transfer.wire.quick import Answer


class Get:
    """See `transfer.engine.quick.errand.Errand`."""

    __slots__ = ("_context", "_wanted", "body_bytes", "item")

    is_upload = False

    def __init__(self, context: Context, item: DownloadItem, listed: ListedObject) -> None:
        self._context = context
        self._wanted = Wanted(item.source, listed.etag, listed.size)
        self.item = item
        self.body_bytes = listed.size

    @property
    def location(self) -> S3Location:
        """See `Errand.location`."""
        return self.item.source

    def call(self) -> Call:
        """See `Errand.call`."""
        return get_call(self._wanted)

    def conclude(self, answer: Answer, mover: Mover, seconds: float) -> Arrived | None:
        """See `Errand.conclude`."""
        wanted, item, content = self._wanted, self.item, answer.body
        require_version(answer.head.status, answer.head.headers, wanted)
        if len(content) != wanted.size:
            raise ProtocolError(f"the store sent {len(content)} bytes, not {wanted.size}", subject=str(wanted.location))
        info = object_info(answer.head.headers, wanted.size)
        verification = choose_verification(info)
        if verification.kind is VerificationKind.COMPOSITE:
            # The boundaries of its parts have to be asked for.
            return None
        plan = DownloadPlan(info, verification, max(1, wanted.size))
        checksum = checksum_of_content(plan, content)
        if matches(plan, checksum):
            proof = proof_of(plan)
        elif verification.certain:
            raise DamagedError
        else:
            proof = VerifiedBy.UNVERIFIED
        receipt = Receipt(
            source=str(item.source),
            destination="",
            size=wanted.size,
            etag=info.etag,
            version_id=info.version_id,
            checksum=checksum,
            verified_by=proof,
            seconds=seconds,
            retries=0,
            mover=mover if wanted.size else Mover.NONE,
            mover_reason=mover_reason(mover, None) if wanted.size else None,
        )
        is_noted = self._context.counts_as_finished(proof)

        def done(path: str) -> Done:
            note = (item.path, finished_object(wanted.size, info.etag), wanted.size) if is_noted else None
            return Done(replace(receipt, destination=path), note)

        mtime_ns = mtime_ns_of(info) if item.mtime_ns is None else item.mtime_ns
        return Arrived(WholeFile(item.root, item.relative, content, mtime_ns, item.is_one_of_many), done)
