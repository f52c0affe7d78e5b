"""``--on-full`` as a program, whose minute is two seconds here: each policy to the sample, and what cannot be."""

from __future__ import annotations

import asyncio
import fcntl
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest

from tests.exact import RATE, speech
from tests.program import DEADLINE_S, ROOT, Ran, assert_accounted, ended, rt
from tests.servers import Client, Server, polite, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT = (
    "import rt_cli.timeline.tape as tape; tape.MEMORY_S = 2; from rt_cli.__main__ import main; raise SystemExit(main())"
)
"""The program, before it has read how long a minute is."""
SECONDS = 5
SOUND = speech(0, SECONDS * RATE // 2)


@contextmanager
def live(server: Server, policy: str, pcm: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """``rt stream -``, given some sound; its stdin stays open."""
    command = ("stream", "--json", "--url", server.url, "-m", "whisper-1", "--turn-detection", "none")
    with subprocess.Popen(
        [sys.executable, "-W", "default", "-c", SHORT, *command, "--on-full", policy, "-"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        try:
            while pcm:
                pcm = pcm[process.stdin.write(pcm) :]
            yield process
        finally:
            process.kill()


def _drained(pipe: IO[bytes]) -> None:
    """Wait until the other side has read everything."""
    deadline = time.monotonic() + DEADLINE_S
    while struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]:
        assert time.monotonic() < deadline, "the pipe is not read"
        time.sleep(0.01)


@contextmanager
def late() -> Iterator[tuple[Server, threading.Event]]:
    """An endpoint that greets nobody before it is told to."""
    awake = threading.Event()

    async def patient(client: Client) -> None:
        await asyncio.to_thread(awake.wait, DEADLINE_S)
        await polite("words")(client)

    with scripted(patient) as server:
        yield server, awake


def delivered(policy: str) -> tuple[Ran, bytes]:
    """Five seconds at once, to an endpoint that is late; the run, and what the endpoint heard."""
    with late() as (server, awake), live(server, policy, SOUND) as process:
        assert process.stdin is not None
        _drained(process.stdin)
        awake.set()
        ran = ended(process)
    assert_accounted(ran.summary)
    return ran, server.audio


def test_by_default_it_waits() -> None:
    """More than the memory takes is heard, too."""
    ran, heard = delivered("spool")

    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert heard == SOUND


def test_the_oldest_is_dropped() -> None:
    """The newest two seconds are heard; what is lost is told as one gap, in two pieces, and as the cause."""
    ran, heard = delivered("drop-oldest")
    first, growth = ran.of("dropped")

    assert (ran.exit, ran.summary["complete"]) == (7, False), ran.err
    assert heard == SOUND[-2 * 2 * RATE :]
    assert (first["start_ms"], first["reason"], growth["reason"]) == (0, "full", "full")
    assert (first["end_ms"], growth["end_ms"]) == (growth["start_ms"], 3000)
    assert ran.summary["ledger"]["dropped"] == 3 * RATE
    assert [(final["start_ms"], final["end_ms"]) for final in ran.of("final")] == [(3000, 5000)]
    assert ran.causes == ["rt: 3.0 s of audio are in no final: see the summary"]


def test_failing() -> None:
    """Capture ends when more than two seconds wait; those are heard, none is dropped, and one line says why."""
    # What is not captured any more fits into the pipe.
    with late() as (server, awake), live(server, "fail", SOUND[: 3 * 2 * RATE]) as process:
        assert process.stderr is not None
        while b"more than 2 s of sound waited" not in process.stderr.readline():
            pass
        awake.set()
        ran, heard = ended(process), server.audio
    assert_accounted(ran.summary)
    captured = ran.summary["ledger"]["captured"]

    assert (ran.exit, ran.summary["complete"]) == (5, False), ran.err
    assert heard == SOUND[: 2 * captured]
    assert 2 * RATE < captured < 3 * RATE
    assert (ran.of("dropped"), len(ran.of("final"))) == ([], 1)
    assert [each["code"] for each in ran.of("error")] == ["full"]
    said = "more than 2 s of sound waited for the endpoint: nothing more was captured"
    assert ran.causes == [f"rt: {said}: check the network and the endpoint, or let it wait (--on-full spool)"]


@pytest.mark.parametrize("policy", ["drop-oldest", "fail"])
@pytest.mark.parametrize("layer", ["option", "variable"])
def test_a_spool_keeps_everything(policy: str, layer: str, tmp_path: Path) -> None:
    """So nothing can be too much, wherever that was asked for; one line says so, and there is no folder."""
    option = ("--on-full", policy) if layer == "option" else ()
    environ = {"RT_ON_FULL": policy} if layer == "variable" else {}
    ran = rt("stream", "--local", *option, "--spool", str(tmp_path / "spool"), "-", stdin=b"", env=environ)

    assert ran.exit == 2
    said = f"--spool keeps everything on disk, so --on-full {policy} has nothing to do"
    assert ran.causes == [f"rt: {said}: leave out one of them, or give --on-full spool"]
    assert not (tmp_path / "spool").exists()


def test_the_option_wins(tmp_path: Path) -> None:
    """What the environment says is taken back by ``--on-full spool``."""
    with scripted(polite("words")) as server:
        ran = rt(
            *("stream", "--json", "--url", server.url, "-m", "whisper-1"),
            *("--on-full", "spool", "--spool", str(tmp_path / "spool"), "-"),
            stdin=SOUND,
            env={"RT_ON_FULL": "fail"},
        )
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err


def test_what_waits_has_no_such_option() -> None:
    """A file is not driven on by anything."""
    ran = rt("send", "--local", "--on-full", "fail", "talk.wav")

    assert ran.exit == 2
    assert len(ran.causes) == 1
    assert "--on-full" in ran.causes[0]
