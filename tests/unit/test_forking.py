"""Children of a process of their own: a child that is forked from the tests' process would be a second run of them."""

import subprocess
import sys
from textwrap import dedent

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are forked on Linux alone")

BEGINNING = """
import os, signal, sys
from transfer.system.forking import can_fork, end, fork_all, reap

def answer(socket):
    while asked := socket.recv(9):
        print("nobody reads this")
        socket.send(asked)
    if asked_to_fail:
        raise ValueError("on purpose")

asked_to_fail = False
"""


def told_by(script: str) -> tuple[str, str]:
    """What a process writes to its two streams."""
    done = subprocess.run(
        [sys.executable, "-c", BEGINNING + dedent(script)], capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout, done.stderr


def test_children_work_and_end_with_their_sockets() -> None:
    script = """
    assert can_fork()
    children = fork_all(3, answer)
    for child in children:
        child.socket.send(b"asked")
        assert child.socket.recv(9) == b"asked"
        assert reap(child.pid) is None
    for child in children:
        child.socket.close()
    for child in children:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert reap(child.pid) == 0
        end(child.pid)
    print("done")
    """
    assert told_by(script) == ("done\n", "")


def test_a_child_that_does_not_end_by_itself_is_ended() -> None:
    script = """
    (child,) = fork_all(1, lambda socket: (socket.send(b"ready"), signal.pause()))
    child.socket.recv(9)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(child.pid, number)
    assert reap(child.pid) is None
    end(child.pid)
    print(reap(child.pid))
    """
    assert told_by(script) == ("0\n", "")


def test_a_child_that_fails_ends_silently_and_returns_nowhere() -> None:
    script = """
    asked_to_fail = True
    (child,) = fork_all(1, answer)
    child.socket.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    print(reap(child.pid))
    """
    out, said = told_by(script)
    assert out == "1\n"
    assert said == ""


def test_nothing_is_forked_beside_another_thread() -> None:
    script = """
    import threading
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    print(can_fork())
    release.set()
    thread.join()
    """
    assert told_by(script) == ("False\n", "")


def test_ctrl_c_in_the_first_moment_of_a_child_is_its_parents_alone() -> None:
    script = """
    fork = os.fork

    def forked():
        pid = fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return pid

    os.fork = forked
    try:
        (child,) = fork_all(1, answer)
        child.socket.send(b"asked")
        print(child.socket.recv(9))
    except KeyboardInterrupt:
        os._exit(1)
    child.socket.close()
    end(child.pid)
    """
    assert told_by(script) == ("b'asked'\n", "")
