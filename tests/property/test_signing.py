"""Our signatures against those of botocore, which serves as the oracle, and against the published example."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as OracleCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from transfer.stores.s3.credentials import Credentials
from transfer.stores.s3.signing import EMPTY_PAYLOAD_HASH, UNSIGNED_PAYLOAD, Signer
from transfer.stores.s3.uri import encode_key, encode_query

NAMED_HEADERS = [
    "content-length",
    "content-md5",
    "content-type",
    "expect",
    "if-match",
    "range",
    "traceparent",
    "transfer-encoding",
    "user-agent",
    "x-amz-acl",
    "x-amz-checksum-crc64nvme",
    "x-amz-copy-source",
    "x-amz-meta-%s",
    "x-amzn-trace-id",
]
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
keys = st.one_of(
    text,
    st.text("ab/ .+%~é😀", max_size=60),
    st.sampled_from(["../../a//b/./..", "a b+c%20", "k" * 1024, "😀" * 256, "%", "a\tb\nc"]),
)
headers = st.dictionaries(
    st.sampled_from(NAMED_HEADERS) | st.text(string.ascii_lowercase, min_size=1).map("x-amz-meta-".__add__),
    text.filter(lambda value: "\n" not in value and "\r" not in value),
    max_size=8,
)
queries = st.lists(st.tuples(text.filter(bool), text), max_size=5)
moments = st.floats(0, 4_102_444_800)


def sign_with_oracle(
    method: str,
    url: str,
    pairs: list[tuple[str, str]],
    given_headers: dict[str, str],
    signer_identity: tuple[Credentials, str],
    timestamp: float,
    *,
    signed: bool = False,
) -> dict[str, str]:
    credentials, region = signer_identity
    request = AWSRequest(method=method, url=url, headers=given_headers, params=pairs)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": signed})
    oracle = S3SigV4Auth(
        OracleCredentials(credentials.access_key, credentials.secret_key, credentials.token), "s3", region
    )
    now = datetime.fromtimestamp(int(timestamp), UTC).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", lambda: now):
        oracle.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
    keys,
    queries,
    headers,
    st.sampled_from(["b.s3.amazonaws.com", "127.0.0.1:9000"]),
    st.none() | st.text(string.ascii_letters + "+/=", min_size=1),
    moments,
)
@example("PUT", "k" * 1024, [("partNumber", "2"), ("uploadId", "a+b/c=")], {"range": " a  b "}, "h", "t", 1e9)
def test_the_same_request_gets_the_signature_of_the_oracle(
    method: str,
    key: str,
    pairs: list[tuple[str, str]],
    given_headers: dict[str, str],
    host: str,
    token: str | None,
    at: float,
) -> None:
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", token)
    path = f"/{encode_key(key)}"
    signer = Signer(credentials, "eu-west-3")
    ours = signer.sign(method, path, encode_query(pairs), host, given_headers, UNSIGNED_PAYLOAD, at)
    theirs = sign_with_oracle(method, f"https://{host}{path}", pairs, given_headers, (credentials, "eu-west-3"), at)
    assert ours.items() <= theirs.items()
    assert set(theirs) - set(ours) == set(given_headers)


def test_an_empty_payload_is_signed_as_the_oracle_signs_it() -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret")
    ours = Signer(credentials, "us-east-1").sign("GET", "/b", "", "h", {}, EMPTY_PAYLOAD_HASH, 1e9)
    theirs = sign_with_oracle("GET", "https://h/b", [], {}, (credentials, "us-east-1"), 1e9, signed=True)
    assert ours == theirs


@given(st.lists(moments, min_size=2, max_size=6), st.lists(headers, min_size=2, max_size=6))
def test_what_a_signer_remembers_never_leaks_into_a_later_signature(
    times: list[float], header_sets: list[dict[str, str]]
) -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret", "token")
    used = Signer(credentials, "us-east-1")
    for at, given_headers in zip(times, header_sets, strict=False):
        for moment in (at, at + 1, at + 86_400, at):
            request = ("PUT", "/k", "", "h", given_headers, UNSIGNED_PAYLOAD, moment)
            assert used.sign(*request) == Signer(credentials, "us-east-1").sign(*request)


def test_the_published_example_of_a_ranged_get() -> None:
    signer = Signer(Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "us-east-1")
    at = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
    host = "examplebucket.s3.amazonaws.com"
    added = signer.sign("GET", "/test.txt", "", host, {"Range": "bytes=0-9"}, EMPTY_PAYLOAD_HASH, at)
    assert added == {
        "x-amz-content-sha256": EMPTY_PAYLOAD_HASH,
        "x-amz-date": "20130524T000000Z",
        "authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        ),
    }


@pytest.mark.parametrize("name", ["authorization", "X-Amz-Date", "x-amz-content-sha256", "Host"])
def test_a_request_signed_before_is_signed_anew(name: str) -> None:
    signer = Signer(Credentials("AKIDEXAMPLE", "secret"), "us-east-1")
    fresh = signer.sign("GET", "/k", "", "h", {"range": "bytes=0-1"}, UNSIGNED_PAYLOAD, 1e9)
    stale = {"range": "bytes=0-1", name: "stale"}
    assert signer.sign("GET", "/k", "", "h", stale, UNSIGNED_PAYLOAD, 1e9) == fresh


def test_no_secret_shows_in_a_repr() -> None:
    credentials = Credentials("AKIDEXAMPLE", "hidden-secret", "hidden-token")
    assert "hidden" not in repr(credentials) + repr(Signer(credentials, "us-east-1"))
