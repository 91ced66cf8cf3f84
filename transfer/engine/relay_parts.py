"""A large object from one store to another: parts in parallel, each read, digested and sent from memory.

A part holds its share of the run's memory from before it is asked for until the destination has it, and asks for a lane
only then: no lane is ever held by what waits for memory. A later run goes on with the parts that the destination has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from transfer.engine.attempts import Tally
from transfer.engine.context import Context
from transfer.engine.copied_properties import CopyHeaders
from transfer.engine.fingerprints import copy_fingerprint, finished_object
from transfer.engine.items import CopyItem
from transfer.engine.job import Claim, Job
from transfer.engine.multipart import ObjectToBe, multipart_upload
from transfer.engine.relay_reading import Arrival, combines, digest_content, fetch_range
from transfer.engine.resuming_upload import resume_upload
from transfer.engine.spread import each, spread
from transfer.engine.uploading import Proof, body_headers, sent_part, upload_with_fallback
from transfer.engine.verifying import DownloadPlan, RangeDigest, conclude, matches
from transfer.integrity.proof import SentPart
from transfer.model.checksums import Checksum, ChecksumAlgorithm, VerifiedBy
from transfer.model.errors import ChecksumMismatchError, TransferError
from transfer.model.ranges import ByteRange
from transfer.model.receipts import Mover
from transfer.model.unfinished import Direction, FinishedPart, ItemIdentity, UnfinishedItem
from transfer.plan.parts import choose_part_size_bytes, split_ranges
from transfer.stores.s3 import multipart
from transfer.stores.s3.multipart import MultipartUpload
from transfer.wire.flow import Flow

PASSES = 2
"""How often an object is read when its checksum is wrong: the second time each part is compared with what was sent, and
those that differ are sent again."""


class PartsRelay:
    """One object's way in parts.

    Attributes:
        arrived_by: What proves that what was read is what the source keeps.
        mover: What carried the last part to the destination.
        resumed_bytes: Of the size, what an earlier run had moved already.
    """

    def __init__(
        self,
        context: Context,
        job: Job,
        item: CopyItem,
        plan: DownloadPlan,
        headers: CopyHeaders,
        tally: Tally,
    ) -> None:
        self._context = context
        self._destination = context.destination
        self._job = job
        self._item = item
        self._plan = plan
        self._info = plan.info
        self._headers = headers.values
        self._tags_unread = headers.tags_unread
        self._tally = tally
        self._part_size_bytes = choose_part_size_bytes(plan.info.size, context.options.part_size_bytes)
        self._algorithm = ChecksumAlgorithm.NONE
        self._claim: Claim | None = None
        self._resumed: frozenset[int] = frozenset()
        self.arrived_by = VerifiedBy.UNVERIFIED
        self.mover = Mover.NONE
        self.resumed_bytes = 0

    async def run(self) -> Proof:
        """Move the object, or what is missing of it; what the destination proves.

        Raises:
            ChecksumMismatchError: What arrives is not what the source keeps a checksum of, also when read again.
            TransferError: What a store or a connection said.
        """
        return await upload_with_fallback(self._destination, self._upload, lambda: True)

    async def _upload(self, algorithm: ChecksumAlgorithm) -> Proof:
        self._algorithm = algorithm
        claim = self._claim = await self._job.claim(self._identity(algorithm))
        try:
            if self._is_sent_with_md5(claim.item):
                self._algorithm = ChecksumAlgorithm.MD5
            proof = await self._go_on(claim)
        except TransferError as error:
            if claim.leaves_nothing(error):
                await claim.finish()
            raise
        else:
            is_proven = VerifiedBy.UNVERIFIED not in (self.arrived_by, proof.verified_by)
            is_enough = is_proven or self._context.counts_as_finished(VerifiedBy.UNVERIFIED)
            counts = is_enough and not self._tags_unread
            fingerprint = finished_object(self._info.size, self._info.etag)
            await claim.done(str(self._item.destination), fingerprint, self._info.size, counts=counts)
            return proof
        finally:
            await claim.release()

    async def _go_on(self, claim: Claim) -> Proof:
        target = ObjectToBe(self._item.destination, self._algorithm, self._headers)
        resumed = await resume_upload(
            self._destination,
            target,
            claim,
            self._identity(self._algorithm),
            tuple(self._ranges()),
            self._digest_at_source,
            self._tally,
        )
        if isinstance(resumed, Proof):
            self._count_resumed(self._info.size)
            self.arrived_by = await self._settled_by(resumed)
            return resumed
        if resumed is not None:
            self._resumed = frozenset(part.number for part in resumed.parts)
            self._count_resumed(sum(part.length for part in resumed.parts))
        return await multipart_upload(self._destination, target, claim, resumed, self._send_parts, self._tally)

    async def _settled_by(self, proof: Proof) -> VerifiedBy:
        """What proves an object that an earlier run has read: its checksum, if the source keeps the same one."""
        expected = self._plan.verification.expected
        is_comparable = (
            expected is not None
            and proof.checksum is not None
            and (expected.algorithm, expected.type) == (proof.checksum.algorithm, proof.checksum.type)
        )
        if not is_comparable or proof.checksum is None or not matches(self._plan, proof.checksum):
            return VerifiedBy.UNVERIFIED
        return await conclude(self._context, self._item.source, self._plan, proof.checksum, self._tally)

    def _is_sent_with_md5(self, known: UnfinishedItem) -> bool:
        """Whether an earlier run found that the store takes no newer checksums, and left the choice to us."""
        md5 = self._identity(ChecksumAlgorithm.MD5).fingerprint
        return self._context.options.checksum is None and known.identity.fingerprint == md5

    def _identity(self, algorithm: ChecksumAlgorithm) -> ItemIdentity:
        return ItemIdentity(
            Direction.COPY,
            self._job.endpoint,
            str(self._item.source),
            str(self._item.destination),
            copy_fingerprint(self._info, self._part_size_bytes, algorithm, self._headers),
            self._info.size,
        )

    def _ranges(self) -> Iterator[ByteRange]:
        return split_ranges(self._info.size, self._part_size_bytes)

    def _count_resumed(self, count: int) -> None:
        """Bytes that need not move again; what was counted for an attempt with another checksum counts no more."""
        self._context.progress.bytes_resumed += count - self.resumed_bytes
        self.resumed_bytes = count

    async def _send_parts(self, upload: MultipartUpload, earlier: Sequence[SentPart]) -> Sequence[SentPart]:
        """Send the parts that are missing, and read once more when what arrived is not what the source keeps."""
        sent = {part.number: part for part in earlier}
        known = self._digests_of(earlier)
        left = PASSES
        while True:
            left -= 1
            arrived = await self._pass(upload, sent, known)
            try:
                self.arrived_by = await conclude(self._context, self._item.source, self._plan, arrived, self._tally)
                return [sent[number] for number in sorted(sent)]
            except ChecksumMismatchError:
                if not left:
                    raise
            known = {}
            self._tally.retries += 1
            self._context.progress.retries += 1

    def _digests_of(self, earlier: Sequence[SentPart]) -> Mapping[int, RangeDigest]:
        """What is known of parts that need not be read again: only checksums of the kind that the source keeps."""
        if not combines(self._plan) or self._plan.verification.algorithm is not self._algorithm:
            return {}
        values = {part.number: part.value for part in earlier}
        return {
            wanted.number: RangeDigest(wanted, values[wanted.number])
            for wanted in self._ranges()
            if wanted.number in values
        }

    async def _pass(
        self, upload: MultipartUpload, sent: dict[int, SentPart], known: Mapping[int, RangeDigest]
    ) -> Checksum:
        """Read all parts but the known ones, and send those that the destination does not hold.

        Returns:
            The object's checksum as it arrived.
        """
        arrival = Arrival(self._plan, self._context.threads, tuple(known.values()))

        async def relay(wanted: ByteRange) -> None:
            before = sent.get(wanted.number)
            part = await self._relay_part(upload, wanted, arrival, before)
            if part is not before:
                sent[wanted.number] = part
                await self._remember(wanted, part)

        unknown = (wanted for wanted in self._ranges() if wanted.number not in known)
        await spread(each(unknown), relay, self._context.may_add_part_worker)
        return arrival.checksum()

    async def _relay_part(
        self, upload: MultipartUpload, wanted: ByteRange, arrival: Arrival, before: SentPart | None
    ) -> SentPart:
        """Move one part, unless the destination holds these very bytes.

        The first thing it does is ask for memory: in the order of the parts, so that none waits for those after it.
        """
        async with self._context.memory.hold(wanted.length):
            content = await fetch_range(self._context, self._item.source, self._info, wanted, self._tally)
            algorithm = self._algorithm
            values = await digest_content(self._context.threads, content, arrival.algorithms | {algorithm})
            await arrival.take(wanted, content, values)
            value = values[algorithm]
            if before is not None:
                if value and before.value == value:
                    return before
                self._take_back(wanted)

            async def send(flow: Flow) -> SentPart:
                headers = body_headers(algorithm, value)
                written = await multipart.upload_part(
                    self._destination.store, upload, wanted.number, content, headers, flow
                )
                self.mover = written.mover
                return sent_part(algorithm, wanted.number, wanted.length, value, written)

            return await self._destination.attempts.run(self._item.destination, send, self._tally)

    def _take_back(self, wanted: ByteRange) -> None:
        """A part that was counted has to move again."""
        if wanted.number in self._resumed:
            self._resumed -= {wanted.number}
            self._count_resumed(self.resumed_bytes - wanted.length)
        else:
            self._context.progress.bytes_moved -= wanted.length

    async def _remember(self, wanted: ByteRange, part: SentPart) -> None:
        if self._claim is not None:
            await self._claim.note_part(
                FinishedPart(wanted.number, wanted.offset, wanted.length, part.value, part.etag)
            )

    async def _digest_at_source(self, wanted: ByteRange, algorithm: ChecksumAlgorithm) -> bytes:
        """Read a range of the source for a checksum of it."""
        async with self._context.memory.hold(wanted.length):
            content = await fetch_range(self._context, self._item.source, self._info, wanted, self._tally)
            return (await digest_content(self._context.threads, content, [algorithm]))[algorithm]
