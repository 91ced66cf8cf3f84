import base64

import pytest

from transfer.model.errors import ConfigurationError
from transfer.wire.origin import Origin
from transfer.wire.proxy import proxy_for

PLAIN = Origin("http", "store.example", 80)
SECURE = Origin("https", "store.example", 443)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain_requests_take_the_proxy_of_either_case(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    found = proxy_for(PLAIN)
    assert found is not None
    assert found.origin == Origin("http", "proxy.example", 3128)
    assert found.headers == ()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_encrypted_requests_have_a_variable_of_their_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    assert proxy_for(SECURE) is not None
    assert proxy_for(PLAIN) is None


def test_the_scheme_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    found = proxy_for(SECURE)
    assert found is not None
    assert found.origin == Origin("http", "proxy.example", 3128)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    "value",
    ["*", "store.example", "other,store.example", ".example", "example", "store.example:443", " store.example "],
)
def test_exceptions_are_honoured(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv(name, value)
    assert proxy_for(SECURE) is None


@pytest.mark.parametrize("value", ["", "other.example", "tore.example", "store.example:444"])
def test_other_exceptions_change_nothing(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", value)
    assert proxy_for(SECURE) is not None


def test_without_a_variable_there_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_for(SECURE) is None
    monkeypatch.setenv("HTTPS_PROXY", "")
    assert proxy_for(SECURE) is None


def test_user_and_password_become_a_header_and_never_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://us%40er:s%3Acret@proxy.example:3128")
    found = proxy_for(SECURE)
    assert found is not None
    encoded = base64.b64encode(b"us@er:s:cret").decode()
    assert found.headers == (("Proxy-Authorization", f"Basic {encoded}"),)
    assert encoded not in repr(found)
    assert "cret" not in repr(found)
    assert "cret" not in str(found.origin)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@proxy.example",
        "socks5://user:hunter2@proxy.example:1080",
        "http://user:hunter2@",
        "http://user:hunter2@proxy.example:99999",
        "http://user:hunter2@proxy.example:port",
        "http://user:hunter2@[::1",
        "http://user:hunter2@proxy\u2100.example",
        "http://user:hunter2/x@proxy.example:3128",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(ConfigurationError) as refusal:
        proxy_for(SECURE)
    error = refusal.value
    assert error.subject == "HTTPS_PROXY"
    told = [str(error), repr(error), repr(error.__cause__)]
    if not error.__suppress_context__:
        told.append(repr(error.__context__))
    assert not [text for text in told if "hunter2" in text]
