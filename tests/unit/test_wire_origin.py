import pytest

from transfer.model.errors import UsageError
from transfer.wire.origin import Origin, parse_origin


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://127.0.0.1:9000", Origin("http", "127.0.0.1", 9000), ""),
        ("https://s3.amazonaws.com/", Origin("https", "s3.amazonaws.com", 443), ""),
        ("HTTP://Example.COM/a/b/", Origin("http", "example.com", 80), "/a/b"),
        ("https://[::1]:8443/x", Origin("https", "::1", 8443), "/x"),
        ("https://account.example:443", Origin("https", "account.example", 443), ""),
    ],
)
def test_a_url_names_an_origin_and_a_path(url: str, origin: Origin, path: str) -> None:
    assert parse_origin(url) == (origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9000",
        "localhost",
        "ftp://host",
        "http://",
        "https:///path",
        "http://h:99999",
        "http://h:x",
        "http://[::1",
    ],
)
def test_what_is_no_http_url_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_origin(url)
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("origin", "host_header"),
    [
        (Origin("http", "h", 80), "h"),
        (Origin("https", "h", 443), "h"),
        (Origin("http", "h", 443), "h:443"),
        (Origin("https", "::1", 443), "[::1]"),
        (Origin("http", "::1", 9000), "[::1]:9000"),
    ],
)
def test_the_host_header_leaves_out_the_usual_port(origin: Origin, host_header: str) -> None:
    assert origin.host_header == host_header
    assert str(origin) == f"{origin.scheme}://{host_header}"
    assert parse_origin(str(origin)) == (origin, "")
