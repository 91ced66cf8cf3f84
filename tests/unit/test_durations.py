import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.model.errors import UsageError
from transfer.plan.durations import parse_duration_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("12h", 43_200),
        ("7d", 604_800),
        ("7D", 604_800),
        (" 7 d ", 604_800),
        ("1.5h", 5400),
        ("0.5s", 0.5),
        ("0.001d", 86.4),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "d", "7", "-7d", "+7d", "0d", "0.0h", "1d12h", "7w", "7 days", "1e3s", ".5h", "5.h", "nan", "٣d", "9" * 5000],
)
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_duration_seconds(text)
    assert repr(text) in str(caught.value)
    assert caught.value.remedy


@given(st.text(max_size=12))
def test_any_text_is_a_duration_above_zero_or_refused(text: str) -> None:
    try:
        seconds = parse_duration_seconds(text)
    except UsageError:
        return
    assert seconds > 0
