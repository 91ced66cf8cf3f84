import pytest

from transfer.model.entries import Entry
from transfer.model.sync import Change, CompareBy, Comparison, DeleteLimit
from transfer.plan.comparing import difference, needs_request


def entry(size: int = 5, modified_seconds: float = 100.0) -> Entry[None]:
    return Entry("name", size, modified_seconds, None)


@pytest.mark.parametrize("by", list(CompareBy))
def test_what_is_not_there_is_new_however_it_is_compared(by: CompareBy) -> None:
    for how in (Comparison(by), Comparison(by, skip_newer=True), Comparison(by, skip_existing=True)):
        assert difference(entry(), None, how) is Change.NEW
        assert not needs_request(entry(), None, how)


@pytest.mark.parametrize("by", list(CompareBy))
def test_another_size_always_counts(by: CompareBy) -> None:
    assert difference(entry(5, 1.0), entry(6, 2.0), Comparison(by)) is Change.SIZE
    assert not needs_request(entry(5), entry(6), Comparison(by))


def test_by_default_a_newer_source_counts_and_an_older_one_does_not() -> None:
    assert difference(entry(5, 1_700_000_000.00001), entry(5, 1_700_000_000.0), Comparison()) is Change.NEWER
    assert difference(entry(5, 100.0), entry(5, 100.0), Comparison()) is None
    assert difference(entry(5, 99.0), entry(5, 100.0), Comparison()) is None


def test_by_size_alone_time_means_nothing() -> None:
    assert difference(entry(5, 200.0), entry(5, 100.0), Comparison(CompareBy.SIZE)) is None


@pytest.mark.parametrize("by", [CompareBy.CHECKSUM, CompareBy.EXACT_MTIME])
def test_only_these_ask_for_each_object_and_only_when_sizes_agree(by: CompareBy) -> None:
    assert difference(entry(5, 200.0), entry(5, 100.0), Comparison(by)) is None
    assert needs_request(entry(5, 200.0), entry(5, 100.0), Comparison(by))
    assert not needs_request(entry(), entry(), Comparison(CompareBy.TIME))
    assert not needs_request(entry(), entry(), Comparison(CompareBy.SIZE))


def test_update_leaves_what_is_newer_at_the_destination() -> None:
    how = Comparison(CompareBy.CHECKSUM, skip_newer=True)
    assert difference(entry(5, 1.0), entry(6, 2.0), how) is None
    assert not needs_request(entry(5, 1.0), entry(5, 2.0), how)
    assert difference(entry(5, 2.0), entry(6, 2.0), how) is Change.SIZE
    assert needs_request(entry(5, 2.0), entry(5, 2.0), how)


def test_ignore_existing_leaves_whatever_is_there() -> None:
    how = Comparison(skip_existing=True)
    assert difference(entry(5, 9.0), entry(6, 2.0), how) is None
    assert not needs_request(entry(), entry(), Comparison(CompareBy.CHECKSUM, skip_existing=True))


@pytest.mark.parametrize(
    ("limit", "deleted", "present", "allowed"),
    [
        (DeleteLimit(3), 3, 3, True),
        (DeleteLimit(3), 4, 100, False),
        (DeleteLimit(0), 0, 0, True),
        (DeleteLimit(10, is_percent=True), 1, 10, True),
        (DeleteLimit(10, is_percent=True), 1, 9, False),
        (DeleteLimit(100, is_percent=True), 9, 9, True),
        (DeleteLimit(50, is_percent=True), 0, 0, True),
    ],
)
def test_the_limit_of_deletions(limit: DeleteLimit, deleted: int, present: int, allowed: bool) -> None:
    assert limit.allows(deleted, present) is allowed
