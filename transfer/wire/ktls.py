"""Kernel TLS: what it takes, and whether the kernel itself says that it encrypts what a socket sends.

Linux encrypts what is written to a socket once it holds the keys (kernel documentation, networking/tls), so that
sendfile(2) needs no memory of this process. OpenSSL 3 gives it the keys at the end of a handshake when
SSL_OP_ENABLE_KTLS is set and it works on the socket itself (SSL_CTX_set_options(3)). Nothing but the kernel's own
answer about a socket may ever count as a yes: without keys, what is written to it leaves as plain text.
"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Final

OP_ENABLE_KTLS: Final = 1 << 3
"""SSL_OP_ENABLE_KTLS, which `ssl` names from Python 3.12 on."""

# linux/tcp.h, linux/socket.h, linux/tls.h
_TCP_ULP: Final = 31
_SOL_TLS: Final = 282
_TLS_TX: Final = 1

_CRYPTO_INFO: Final = struct.Struct("=HH")
"""struct tls_crypto_info: the version of TLS and the cipher. The kernel tells no more when asked for no more."""

_VERSIONS: Final = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

_FIRST_OPENSSL: Final = (3, 0)

_NO_SUCH_LEVEL: Final = frozenset({errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""getsockopt(2) of a TCP socket without the kernel's TLS."""


class Obstacle(StrEnum):
    """Why this process encrypts by itself."""

    SYSTEM = "this system offers no TLS in its kernel"
    LIBRARY = "kernel TLS needs OpenSSL 3 or later"
    KERNEL = "this kernel offers no TLS"
    BUILD = "this OpenSSL does not hand its keys to the kernel"
    DECLINED = "the kernel has not taken the keys of a connection"


class Offer:
    """Whether connections may be made for kernel TLS: found out when first asked for, taken back when it fails."""

    def __init__(self, find: Callable[[], Obstacle | None]) -> None:
        """Prepare. `find` names what stands in the way, or None."""
        self._find: Final = find
        self._is_known = False
        self._obstacle: Obstacle | None = None

    @property
    def obstacle(self) -> Obstacle | None:
        """What stands in the way, as far as is known; None when it is worth trying."""
        if not self._is_known:
            self._obstacle = self._find()
            self._is_known = True
        return self._obstacle

    def withdraw(self, obstacle: Obstacle) -> None:
        """Try no more in this process."""
        self._is_known = True
        self._obstacle = obstacle


def find_obstacle() -> Obstacle | None:
    """Ask system, library and kernel; takes microseconds."""
    is_openssl = ssl.OPENSSL_VERSION.startswith("OpenSSL ")
    version = ssl.OPENSSL_VERSION_INFO[:2] if is_openssl else (0, 0)
    return obstacle_of(sys.platform, version, _ask_kernel)


def obstacle_of(
    platform: str, openssl_version: tuple[int, int], ask_kernel: Callable[[], int | None]
) -> Obstacle | None:
    """Judge what was found.

    Args:
        platform: As `sys.platform`.
        openssl_version: Major and minor; (0, 0) for any other library.
        ask_kernel: Asks an unconnected socket for TLS: the error number, None for a success. /proc names what the
            kernel offers too, but not in a network namespace, as containers have it.
    """
    if platform != "linux":
        return Obstacle.SYSTEM
    if openssl_version < _FIRST_OPENSSL:
        return Obstacle.LIBRARY
    # TLS is there, but not for a socket without a connection; any other answer is none that could be relied on.
    return None if ask_kernel() == errno.ENOTCONN else Obstacle.KERNEL


OFFER: Final = Offer(find_obstacle)
"""For this process."""


def obstacle_on(sock: socket.socket, version: str | None) -> Obstacle | None:
    """Ask the kernel whether it encrypts what is written to a socket, with keys for this version of TLS.

    Args:
        sock: A connected socket after its handshake.
        version: What the handshake has agreed on, as `SSLSocket.version` names it.

    Returns:
        None when it does, and nothing but that allows sending on the socket itself; else what may be the reason.
    """
    try:
        answer = sock.getsockopt(_SOL_TLS, _TLS_TX, _CRYPTO_INFO.size)
    except OSError as error:
        # Nobody has attached the kernel's TLS to it, so nobody has tried to hand over keys.
        return Obstacle.BUILD if error.errno in _NO_SUCH_LEVEL else Obstacle.DECLINED
    return None if names_keys(answer, version) else Obstacle.DECLINED


def names_keys(answer: bytes, version: str | None) -> bool:
    """Whether the kernel's answer about a socket's sending side names a cipher, for this version of TLS."""
    if len(answer) != _CRYPTO_INFO.size:
        return False
    told_version, cipher = _CRYPTO_INFO.unpack(answer)
    return bool(cipher) and bool(told_version == _VERSIONS.get(version or ""))


def _ask_kernel() -> int | None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_ULP, b"tls")
    except OSError as error:
        return error.errno
    return None
