import pytest

from transfer.model.errors import UsageError
from transfer.plan.sizes import format_rate, format_seconds, format_size, parse_size_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1048576),
        ("512B", 512),
        ("8K", 8 * 1024),
        ("8k", 8 * 1024),
        ("8KB", 8 * 1024),
        ("8MiB", 8 * 1024**2),
        ("8 mib", 8 * 1024**2),
        (" 64MB ", 64 * 1024**2),
        ("1.5G", 3 * 1024**3 // 2),
        ("2TiB", 2 * 1024**4),
        ("0.1K", 102),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "MiB", "-1", "1e3", "8X", "8MiBs", "1,5G", "1.G", ".5G", "8iB", "0x10", "nan", "٣", "9" * 5000],
)
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size_bytes(text)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1288490189, "1.2 GiB"),
        (50_000 * 1024**3, "48.8 TiB"),
        (1024**6, "1024.0 PiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_sizes_are_written(size: int, text: str) -> None:
    assert format_size(size) == text


def test_rates_are_written() -> None:
    assert format_rate(1288490188.8) == "1.2 GiB/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (12.4, "12 s"),
        (59.6, "1 min 00 s"),
        (184, "3 min 04 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (86399, "1 d 00 h"),
        (273600, "3 d 04 h"),
    ],
)
def test_durations_are_written(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
