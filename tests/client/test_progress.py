"""A command that takes longer than a second says what it does; a quicker one says nothing.

Each is a process of its own: the timer of the tests themselves is the same one.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.waiting import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such timer")

BEGINNING = """
import signal
from threading import Thread
from tokenward.ui import progress

told = []
def tell():
    told.append("at work")
def is_left():
    return (signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM)) == (
        (0.0, 0.0), signal.SIG_DFL)
"""


def shown(text: str) -> str:
    """Return what a program prints."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", BEGINNING + text],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return done.stdout.strip()


def test_what_takes_long_is_told_once() -> None:
    text = """
progress.SECONDS = 0.01
with progress.after_a_second(tell):
    while not told:
        pass
print(told, is_left())
"""
    assert shown(text) == "['at work'] True"


def test_what_is_over_before_is_not_told() -> None:
    assert shown("with progress.after_a_second(tell): pass\nprint(told, is_left())") == "[] True"


def test_a_timer_of_the_program_around_it_is_left_alone() -> None:
    text = """
signal.signal(signal.SIGALRM, signal.SIG_IGN)
with progress.after_a_second(tell):
    print(signal.getsignal(signal.SIGALRM).name, signal.getitimer(signal.ITIMER_REAL))
"""
    assert shown(text) == "SIG_IGN (0.0, 0.0)"


def test_in_another_thread_nothing_is_told() -> None:
    text = """
def work():
    with progress.after_a_second(tell):
        print("worked", is_left())
thread = Thread(target=work)
thread.start()
thread.join()
"""
    assert shown(text) == "worked True"


def test_an_error_of_the_work_is_raised_and_the_timer_stopped() -> None:
    text = """
try:
    with progress.after_a_second(tell):
        1 // 0
except ZeroDivisionError:
    print("raised", is_left())
"""
    assert shown(text) == "raised True"
