"""``rt bench`` in several processes: the same results, none of which a process takes with it, and no process left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands.test_talk import words
from tests.program import ended, noise, rt, served, start, write_wav
from tests.servers import polite, scripted

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.servers import Client

RATE_HZ = 24_000
BUSY_S = 90.0
"""Deadline of all levels, on a busy machine."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")


@pytest.fixture
def talk(tmp_path: Path) -> str:
    """Half a second of noise: enough for the scripted endpoints."""
    return str(write_wav(tmp_path / "talk.wav", noise(RATE_HZ // 2)))


@pytest.fixture(scope="module")
def counted() -> Iterator[str]:
    """The URL of an endpoint that replies at once."""
    with served("--recognizer", "none", "--reply", "counted", "--reply-text", "Yes.") as (url, _):
        yield url


def children(pid: int) -> list[int]:
    """The processes of a bench."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int]) -> None:
    """Wait for the end of processes."""
    until = time.monotonic() + 10
    while any(map(lives, pids)):
        assert time.monotonic() < until, "a process is left"
        time.sleep(0.02)


def begin(url: str, talk: str, *args: str) -> subprocess.Popen[bytes]:
    """Start a bench of two processes and four sessions, over and over."""
    options = ("--turn-detection", "none", "--json", "--workers", "2", "--sessions", "4,5", "--rounds", "1000")
    return start("bench", "--url", url, *options, "--spread", "0", *args, talk)


def test_two_processes_measure_what_one_does(talk: str) -> None:
    """The lines are the same, and each value of each session is in its level."""
    with scripted(polite("so it is")) as server:
        options = ("--turn-detection", "none", "--json", "--workers", "2", "--sessions", "1,3", "--rounds", "2")
        ran = rt("bench", "--url", server.url, *options, "--spread", "0", talk, seconds=BUSY_S)
        assert server.clients == 8
    assert ran.exit == 0, ran.err
    assert [event["type"] for event in ran.events] == (
        ["bench_session"] * 2 + ["bench_level"] + ["bench_session"] * 6 + ["bench_level", "bench_summary"]
    )
    last = ran.of("bench_level")[-1]
    assert (last["runs"], last["finals"], last["errors"], last["held"], last["processes"]) == (6, 6, 0, True, 2)
    assert last["account"] == {"started": 6, "finished": 6, "failed": 0, "lost": 0}
    assert last["lateness_ms"]["n"] == 6 * 13
    mine = [session for session in ran.of("bench_session") if session["sessions"] == 3]
    places = sorted((session["number"], session["round"]) for session in mine)
    assert places == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    for measure in ("connect_ms", "ready_ms", "final_ms", "rtf", "lateness_ms"):
        assert last[measure]["max"] == max(session[measure]["max"] for session in mine)
    assert 0 < last["client_cpu"] <= last["clients_cpu"]


def test_conversations_in_two_processes(counted: str, tmp_path: Path) -> None:
    """Conversations, too: replies and their latencies come from both."""
    turn = str(write_wav(tmp_path / "turn.wav", words("sense_0870.wav", 2.0)))
    options = ("--json", "--workers", "2", "--sessions", "4", "--spread", "0")
    ran = rt("bench", "--talk", "--url", counted, *options, turn, seconds=BUSY_S)
    assert ran.exit == 0, ran.err
    (level,) = ran.of("bench_level")
    assert (level["replies"], level["voice_to_voice_ms"]["n"], level["processes"]) == (4, 4, 2)


@linux
def test_a_process_that_dies_is_counted(talk: str) -> None:
    """Two of four sessions are lost with it: started = finished + failed + lost, exit 7, a line says which."""
    killed = threading.Event()

    async def script(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.commit")
        item = await client.commit()
        while not killed.is_set():  # noqa: ASYNC110 - the test is another thread
            await asyncio.sleep(0.02)
        await client.complete(item, "so it is")
        await client.until("nothing")

    with scripted(script) as server:
        process = begin(server.url, talk, "--rounds", "4")
        server.wait_for("input_audio_buffer.commit", 4)
        first, second = children(process.pid)
        os.kill(second, signal.SIGKILL)
        killed.set()
        ran = ended(process, seconds=BUSY_S)
    assert ran.exit == 7, ran.err
    (level,) = ran.of("bench_level")
    account = level["account"]
    assert account["lost"] == 2
    assert account["started"] == account["finished"] + account["failed"] + account["lost"]
    assert len(ran.of("bench_session")) == account["finished"] + account["failed"]
    assert (level["held"], ran.summary["exit"], ran.summary["highest"]) == (False, 7, None)
    assert "process 2 of 2 ended (signal 9): 2 sessions lost" in ran.err
    wait_until_gone([first, second])


@linux
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_all(number: int, code: int, talk: str) -> None:
    """Also where the terminal or a service manager sends it to each process: nothing is lost, none is left."""
    with scripted(polite("so it is")) as server:
        process = begin(server.url, talk)
        server.wait_for("input_audio_buffer.commit", 4)
        workers = children(process.pid)
        for pid in (*workers, process.pid):
            os.kill(pid, number)
        ran = ended(process, seconds=BUSY_S)
    assert ran.exit == code, ran.err
    (level,) = ran.of("bench_level")
    assert (level["account"]["lost"], level["errors"], ran.summary["interrupted"]) == (0, 0, True)
    wait_until_gone(workers)


@linux
def test_no_process_outlives_its_parent(talk: str) -> None:
    """Not even a parent that is killed."""
    with scripted(polite("so it is")) as server:
        process = begin(server.url, talk)
        server.wait_for("input_audio_buffer.commit", 4)
        workers = children(process.pid)
        assert len(workers) == 2
        process.kill()
        wait_until_gone(workers)
        process.communicate(timeout=BUSY_S)


@linux
def test_no_key_on_a_command_line(talk: str) -> None:
    """The key reaches the processes, and nobody who lists them."""
    with scripted(polite("so it is")) as server:
        process = begin(server.url, talk, "--rounds", "1", "--api-key-cmd", "echo sk-of-nobody-123456")
        server.wait_for("input_audio_buffer.commit", 4)
        seen = b"".join(
            Path(f"/proc/{pid}/{name}").read_bytes() for pid in children(process.pid) for name in ("cmdline", "environ")
        )
        ran = ended(process, seconds=BUSY_S)
    assert ran.exit == 0, ran.err
    assert b"sk-of-nobody" not in seen
    assert "sk-of-nobody" not in json.dumps(ran.events) + ran.err


def test_a_limit_on_the_cost_is_kept_by_one_process(talk: str) -> None:
    """To ask for more is a usage error."""
    environ: dict[str, Any] = {"RT_PRICE_PER_MINUTE": "60", "RT_MAX_COST": "1"}
    with scripted(polite("never said")) as server:
        ran = rt("bench", "--url", server.url, "--workers", "2", "--sessions", "2", talk, env=environ)
    assert (ran.exit, server.clients) == (2, 0)
    assert "--max-cost is kept by one process" in ran.err
