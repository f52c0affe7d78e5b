"""The process of a command, from outside: what a signal does to it, and when it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.program import ROOT

DEADLINE_S = 20.0
COMMANDS = """
import asyncio, signal, sys, threading
from rt_cli.cli.process import run_loop

async def cancelled(_interrupts):
    print("ready", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

async def subscribed(interrupts):
    ended = asyncio.Event()
    interrupts.subscribe(lambda exit_code: ended.set())
    print("ready", flush=True)
    await ended.wait()
    print("cleaned up", flush=True)
    return 9

async def hanging(_interrupts):
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 60)
    print("ready", flush=True)
    return 7

exit_code = run_loop(globals()[sys.argv[1]])
# The interpreter's end gives the default action to every signal that a function handles, and to no other.
print(*(signal.Signals(each).name for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    if signal.getsignal(each) is not signal.SIG_IGN), "exit", exit_code)
sys.exit(exit_code)
"""


def started(command: str) -> subprocess.Popen[str]:
    """Start one of the commands, and wait for its first line."""
    arguments = [sys.executable, "-c", COMMANDS, command]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate(timeout=DEADLINE_S)
    return process


@pytest.mark.parametrize(
    ("command", "number", "exit_code"),
    [
        pytest.param("cancelled", signal.SIGINT, 130, id="cancelled by INT"),
        pytest.param("cancelled", signal.SIGTERM, 143, id="cancelled by TERM"),
        pytest.param("subscribed", signal.SIGINT, 9, id="subscribed, INT"),
        pytest.param("subscribed", signal.SIGTERM, 9, id="subscribed, TERM"),
    ],
)
def test_signal(command: str, number: int, exit_code: int) -> None:
    """It cancels a command, and its code is that of the signal; a command that subscribes ends as it likes.

    Afterwards signals are ignored, so that a late one does not replace the exit code.
    """
    with started(command) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out, err) == (exit_code, f"cleaned up\nexit {exit_code}\n", "")


def test_a_thread_that_hangs_does_not_delay_the_end() -> None:
    """A DNS query without an answer, for example."""
    with started("hanging") as process:
        began = time.monotonic()
        assert process.wait(DEADLINE_S) == 7
        assert time.monotonic() - began < 5
