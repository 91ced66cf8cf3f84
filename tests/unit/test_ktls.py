"""Whether the kernel encrypts is decided by its own answers, and every doubt is a no."""

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer.engine.reasons import TLS, mover_reason
from transfer.model.receipts import Mover
from transfer.wire import ktls
from transfer.wire.ktls import Obstacle, Offer, names_keys, obstacle_of, obstacle_on


class Answering:
    """A socket whose kernel answers so."""

    def __init__(self, answer: bytes | OSError) -> None:
        self._answer = answer

    def getsockopt(self, *_: int) -> bytes:
        if isinstance(self._answer, OSError):
            raise self._answer
        return self._answer


def told(answer: bytes | OSError, version: str | None = "TLSv1.3") -> Obstacle | None:
    return obstacle_on(Answering(answer), version)  # type: ignore[arg-type]  # asked for nothing else


@pytest.mark.parametrize(
    ("platform", "openssl", "answer", "expected"),
    [
        ("linux", (3, 0), errno.ENOTCONN, None),
        ("linux", (4, 1), errno.ENOTCONN, None),
        ("linux", (3, 0), errno.ENOENT, Obstacle.KERNEL),
        ("linux", (3, 0), errno.EPERM, Obstacle.KERNEL),
        ("linux", (3, 0), None, Obstacle.KERNEL),
        ("linux", (1, 1), errno.ENOTCONN, Obstacle.LIBRARY),
        ("linux", (0, 0), errno.ENOTCONN, Obstacle.LIBRARY),
        ("darwin", (3, 0), errno.ENOTCONN, Obstacle.SYSTEM),
        ("win32", (3, 0), errno.ENOTCONN, Obstacle.SYSTEM),
    ],
)
def test_only_a_kernel_that_has_tls_is_asked_for_it(
    platform: str, openssl: tuple[int, int], answer: int | None, expected: Obstacle | None
) -> None:
    assert obstacle_of(platform, openssl, lambda: answer) is expected


def test_other_systems_are_not_asked() -> None:
    assert obstacle_of("darwin", (3, 0), lambda: pytest.fail("asked")) is Obstacle.SYSTEM


def test_the_offer_is_looked_for_once_and_stays_withdrawn() -> None:
    asked: list[None] = []

    def find() -> None:
        asked.append(None)

    offer = Offer(find)
    assert asked == []
    assert (offer.obstacle, offer.obstacle, len(asked)) == (None, None, 1)
    offer.withdraw(Obstacle.DECLINED)
    assert (offer.obstacle, len(asked)) == (Obstacle.DECLINED, 1)


@pytest.mark.parametrize(("version", "number"), [("TLSv1.2", 0x0303), ("TLSv1.3", 0x0304)])
def test_keys_of_the_agreed_version_are_a_yes(version: str, number: int) -> None:
    assert told(struct.pack("=HH", number, 52), version) is None


@given(st.binary(max_size=8), st.sampled_from([None, "TLSv1.3", "TLSv1.2", "TLSv1.1", "SSLv3"]))
def test_any_other_answer_is_a_no(answer: bytes, version: str | None) -> None:
    number = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}.get(version or "")
    good = len(answer) == 4 and struct.unpack("=HH", answer)[0] == number and answer[2:] != b"\0\0"
    assert names_keys(answer, version) == good


@pytest.mark.parametrize("answer", [b"", b"\4\3\0\0", b"\0\0\0\0", b"\3\3\x34\0", b"\4\3\x34", b"\4\3\x34\0\0"])
def test_an_answer_without_keys_is_a_no(answer: bytes) -> None:
    assert told(answer) is Obstacle.DECLINED


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOPROTOOPT, Obstacle.BUILD),
        (errno.EOPNOTSUPP, Obstacle.BUILD),
        (errno.EBUSY, Obstacle.DECLINED),
        (errno.EINVAL, Obstacle.DECLINED),
        (errno.EBADF, Obstacle.DECLINED),
    ],
)
def test_a_kernel_that_does_not_answer_says_no(number: int, expected: Obstacle) -> None:
    assert told(OSError(number, "no")) is expected


def test_a_socket_nobody_gave_keys_for_is_never_taken_for_an_encrypted_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        assert obstacle_on(sock, "TLSv1.3") in (Obstacle.BUILD, Obstacle.DECLINED)


def test_finding_out_names_one_obstacle_or_none() -> None:
    assert ktls.find_obstacle() in (None, *Obstacle)


def test_a_receipt_says_why_the_kernel_did_not_encrypt() -> None:
    assert mover_reason(Mover.TLS, None, Obstacle.KERNEL) == f"{TLS}: this kernel offers no TLS"
    assert mover_reason(Mover.TLS, None) == TLS
    assert mover_reason(Mover.KTLS, None) is None
