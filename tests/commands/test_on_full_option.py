"""``--on-full`` as a program, with a memory of two seconds instead of a minute."""

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
"""The program with ``tape.MEMORY_S`` set to 2."""
SECONDS = 5
SOUND = speech(0, SECONDS * RATE // 2)


@contextmanager
def live(server: Server, policy: str, pcm: bytes) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``rt stream -`` with some sound; its stdin stays open."""
    command = ("stream", "--json", "--url", server.url, "-m", "whisper-1", "--turn-detection", "none", "-v")
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


def _wait_until_drained(pipe: IO[bytes]) -> None:
    """Wait until the reader has taken everything."""
    deadline = time.monotonic() + DEADLINE_S
    while struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]:
        assert time.monotonic() < deadline, "the pipe is not read"
        time.sleep(0.01)


@contextmanager
def late() -> Iterator[tuple[Server, threading.Event]]:
    """An endpoint that greets only on request."""
    awake = threading.Event()

    async def patient(client: Client) -> None:
        await asyncio.to_thread(awake.wait, DEADLINE_S)
        await polite("words")(client)

    with scripted(patient) as server:
        yield server, awake


def delivered(policy: str) -> tuple[Ran, bytes]:
    """Send five seconds at once to a late endpoint; return the run and the received sound."""
    with late() as (server, awake), live(server, policy, SOUND) as process:
        assert process.stdin is not None
        _wait_until_drained(process.stdin)
        awake.set()
        ran = ended(process)
    assert_accounted(ran.summary)
    return ran, server.audio


def test_by_default_it_waits() -> None:
    """Sound beyond the memory limit is delivered, too."""
    ran, heard = delivered("spool")

    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert heard == SOUND


def test_the_oldest_is_dropped() -> None:
    """The newest two seconds are delivered; the loss is one gap, in two pieces, and the cause of failure."""
    ran, heard = delivered("drop-oldest")
    first, growth = ran.of("dropped")

    assert (ran.exit, ran.summary["complete"]) == (7, False), ran.err
    assert heard == SOUND[-2 * 2 * RATE :]
    assert (first["start_ms"], first["reason"], growth["reason"]) == (0, "full", "full")
    assert (first["end_ms"], growth["end_ms"]) == (growth["start_ms"], 3000)
    assert ran.summary["ledger"]["dropped"] == 3 * RATE
    assert [(final["start_ms"], final["end_ms"]) for final in ran.of("final")] == [(3000, 5000)]
    assert ran.causes == ["incomplete: -: 3.0 s of 5.0 s not transcribed"]


def test_failing() -> None:
    """Capture ends with more than two waiting seconds; those are delivered, and one line says why."""
    # The rest of the sound fits into the pipe buffer.
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
    """``--spool`` with another policy is a usage error, wherever the policy is set; no folder is created."""
    option = ("--on-full", policy) if layer == "option" else ()
    environ = {"RT_ON_FULL": policy} if layer == "variable" else {}
    ran = rt("stream", "--local", *option, "--spool", str(tmp_path / "spool"), "-", stdin=b"", env=environ)

    assert ran.exit == 2
    said = f"--spool keeps everything on disk, so --on-full {policy} has nothing to do"
    assert ran.causes == [f"rt: {said}: leave out one of them, or give --on-full spool"]
    assert not (tmp_path / "spool").exists()


def test_the_option_wins(tmp_path: Path) -> None:
    """``--on-full spool`` overrides the environment."""
    with scripted(polite("words")) as server:
        ran = rt(
            *("stream", "--json", "--url", server.url, "-m", "whisper-1"),
            *("--on-full", "spool", "--spool", str(tmp_path / "spool"), "-"),
            stdin=SOUND,
            env={"RT_ON_FULL": "fail"},
        )
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err


def test_what_waits_has_no_such_option() -> None:
    """A file has no ``--on-full``: it is read only as fast as it is sent."""
    ran = rt("send", "--local", "--on-full", "fail", "talk.wav")

    assert ran.exit == 2
    assert len(ran.causes) == 1
    assert "--on-full" in ran.causes[0]
