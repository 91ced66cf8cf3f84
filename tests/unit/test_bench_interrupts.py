"""Interrupts of the harness: held back while a process is made, and never lost. Each test has a process of its own."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BEGIN = """
import os, signal, sys
from benchmarks.interrupts import deferred_interrupts, raise_interrupts

def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)
"""


def ending_of(code: str) -> tuple[str, str]:
    """Run `code`; return what it printed and the last line of its errors."""
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    return ended.stdout, (ended.stderr.splitlines() or [""])[-1]


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        code = f"raise_interrupts()\nwith deferred_interrupts():\n    interrupt(signal.{number})\n    print('held')"
        assert ending_of(code) == ("held\n", "KeyboardInterrupt"), number


def test_after_the_block_an_interrupt_is_raised_at_once_again() -> None:
    code = "raise_interrupts()\nwith deferred_interrupts():\n    print('held')\ninterrupt()\nprint('lost')"
    assert ending_of(code) == ("held\n", "KeyboardInterrupt")


def test_an_interrupt_that_a_finaliser_swallows_is_raised_where_the_next_process_starts() -> None:
    code = """
sys.unraisablehook = lambda found: print(found.exc_type.__name__)

class Finalised:
    def __del__(self):
        interrupt()

raise_interrupts()
Finalised()
print("swallowed")
with deferred_interrupts():
    print("held")
print("lost")
"""
    assert ending_of(code) == ("KeyboardInterrupt\nswallowed\nheld\n", "KeyboardInterrupt")


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored() -> None:
    code = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
raise_interrupts()
interrupt()
with deferred_interrupts():
    interrupt()
print("went on")
"""
    assert ending_of(code) == ("went on\n", "")


def test_an_interrupt_that_was_swallowed_at_the_very_end_ends_the_harness() -> None:
    code = """
import benchmarks.__main__ as harness

def measure(arguments):
    try:
        interrupt()
    except KeyboardInterrupt:
        print("swallowed")

harness._run = measure
sys.argv = ["bench"]
sys.exit(harness.main())
"""
    assert ending_of(code) == ("swallowed\n", "interrupted")
