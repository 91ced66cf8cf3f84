from hypothesis import given
from hypothesis import strategies as st

from transfer.engine.reconciling import Doubtful, covers, reconcile
from transfer.integrity.proof import SentPart
from transfer.model.ranges import ByteRange
from transfer.model.unfinished import FinishedPart
from transfer.plan.parts import split_ranges
from transfer.stores.s3.xml import UploadedPart

RANGES = tuple(split_ranges(25, 10))
FIRST, SECOND, LAST = RANGES


def noted(wanted: ByteRange, etag: str = '"a"') -> FinishedPart:
    return FinishedPart(wanted.number, wanted.offset, wanted.length, b"value", etag)


def listed(wanted: ByteRange, etag: str = '"a"') -> UploadedPart:
    return UploadedPart(wanted.number, etag, wanted.length)


def trusted(wanted: ByteRange, etag: str = '"a"') -> SentPart:
    return SentPart(wanted.number, wanted.length, b"value", etag, echoed=False)


def test_what_both_know_alike_is_trusted() -> None:
    found = reconcile(RANGES, [noted(FIRST), noted(LAST, "b")], [listed(LAST, '"b"'), listed(FIRST)])
    assert found.trusted == (trusted(FIRST), trusted(LAST, '"b"'))
    assert found.doubtful == ()


def test_what_the_store_does_not_list_is_not_there() -> None:
    found = reconcile(RANGES, [noted(wanted) for wanted in RANGES], [])
    assert (found.trusted, found.doubtful) == ((), ())


def test_what_the_journal_does_not_know_is_doubtful() -> None:
    found = reconcile(RANGES, [], [listed(SECOND)])
    assert (found.trusted, found.doubtful) == ((), (Doubtful(SECOND, listed(SECOND)),))


def test_what_was_overwritten_is_doubtful() -> None:
    found = reconcile(RANGES, [noted(FIRST)], [listed(FIRST, '"b"')])
    assert (found.trusted, found.doubtful) == ((), (Doubtful(FIRST, listed(FIRST, '"b"')),))


def test_part_that_is_listed_twice_is_trusted_when_one_of_them_is_ours() -> None:
    for etags in (('"a"', '"b"'), ('"b"', '"a"')):
        found = reconcile(RANGES, [noted(FIRST)], [listed(FIRST, etag) for etag in etags])
        assert (found.trusted, found.doubtful) == ((trusted(FIRST),), ())


def test_part_of_another_size_is_not_there() -> None:
    other = UploadedPart(LAST.number, '"a"', LAST.length + 1)
    found = reconcile(RANGES, [noted(LAST)], [other])
    assert (found.trusted, found.doubtful) == ((), ())


def test_part_without_an_etag_is_never_trusted() -> None:
    found = reconcile(RANGES, [noted(FIRST, "")], [listed(FIRST, "")])
    assert (found.trusted, found.doubtful) == ((), (Doubtful(FIRST, listed(FIRST, "")),))


def test_all_parts_together_cover_the_object() -> None:
    parts = [noted(wanted) for wanted in RANGES]
    assert covers(RANGES, parts)
    assert covers(RANGES, [*parts, noted(ByteRange(4, 25, 10))])
    assert not covers(RANGES, parts[1:])
    assert not covers(RANGES, [*parts[:2], FinishedPart(3, 20, 4, b"value", '"a"')])
    assert not covers(RANGES, [*parts[:2], FinishedPart(3, 21, 5, b"value", '"a"')])


ETAGS = st.sampled_from(["", "a", '"a"', '"b"'])
NUMBERS = st.integers(1, 4)


@st.composite
def situations(draw: st.DrawFn) -> tuple[tuple[ByteRange, ...], list[FinishedPart], list[UploadedPart]]:
    ranges = tuple(split_ranges(draw(st.integers(1, 12)), draw(st.integers(1, 6))))
    lengths, offsets = st.integers(1, 6), st.integers(0, 12)
    # Mostly what fits the plan: a part that does not must be met too, but not always.
    planned = st.sampled_from(ranges)
    recorded = st.builds(FinishedPart, NUMBERS, offsets, lengths, st.binary(max_size=2), ETAGS) | st.builds(
        lambda wanted, value, etag: FinishedPart(wanted.number, wanted.offset, wanted.length, value, etag),
        planned,
        st.binary(max_size=2),
        ETAGS,
    )
    held = st.builds(UploadedPart, NUMBERS, ETAGS, lengths) | st.builds(listed, planned, ETAGS)
    return (
        ranges,
        draw(st.lists(recorded, max_size=5, unique_by=lambda part: part.number)),
        draw(st.lists(held, max_size=6)),
    )


def is_same(part: FinishedPart, wanted: ByteRange, there: UploadedPart) -> bool:
    """Whether the planned part, the recorded one and the listed one are one and the same."""
    return (
        part.number == wanted.number == there.number
        and part.length == wanted.length == there.size
        and part.offset == wanted.offset
        and bool(part.etag.strip('"'))
        and part.etag.strip('"') == there.etag.strip('"')
    )


@given(situations())
def test_every_part_is_trusted_doubtful_or_missing(
    situation: tuple[tuple[ByteRange, ...], list[FinishedPart], list[UploadedPart]],
) -> None:
    ranges, recorded, held = situation
    found = reconcile(ranges, recorded, held)

    expected_trusted = {
        wanted.number: part.value
        for wanted in ranges
        for part in recorded
        if any(is_same(part, wanted, there) for there in held)
    }
    expected_doubtful = {
        wanted.number
        for wanted in ranges
        if wanted.number not in expected_trusted
        and any(there.number == wanted.number and there.size == wanted.length for there in held)
    }
    assert {part.number: part.value for part in found.trusted} == expected_trusted
    assert {doubtful.wanted.number for doubtful in found.doubtful} == expected_doubtful
    numbers = [part.number for part in found.trusted] + [doubtful.wanted.number for doubtful in found.doubtful]
    assert len(numbers) == len(set(numbers))
    assert all(
        any(there.number == part.number and there.size == part.length and there.etag == part.etag for there in held)
        for part in found.trusted
    )
    assert all(doubtful.listed in held and doubtful.wanted in ranges for doubtful in found.doubtful)
    assert all(doubtful.listed.size == doubtful.wanted.length for doubtful in found.doubtful)
