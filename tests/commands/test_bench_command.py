"""``rt bench`` as a process, against the embedded endpoint and against scripted endpoints."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.program import DATA, ROOT, RT, ended, noise, rt, served, start, write_wav
from tests.servers import Client, nobody, polite, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.program import Ran

RATE_HZ = 24_000
BUSY_S = 90.0
"""Deadline of all levels, on a busy machine."""


@pytest.fixture
def talk(tmp_path: Path) -> str:
    """Half a second of noise: enough for the scripted endpoints."""
    return str(write_wav(tmp_path / "talk.wav", noise(RATE_HZ // 2)))


def bench(server_url: str, *args: str) -> Ran:
    """Run a bench without turn detection, with NDJSON output."""
    options = ("--turn-detection", "none", "--json", "--spread", "0")
    return rt("bench", "--url", server_url, *options, *args, seconds=BUSY_S)


def levels(ran: Ran) -> list[dict[str, Any]]:
    """Return the lines of the levels."""
    return ran.of("bench_level")


def test_ndjson_lines(talk: str) -> None:
    """One line per session, one per level, and a summary."""
    with scripted(polite("so it is")) as server:
        ran = bench(server.url, "--sessions", "1,3", "--rounds", "2", talk)
    assert ran.exit == 0, ran.err
    assert [event["type"] for event in ran.events] == (
        ["bench_session"] * 2 + ["bench_level"] + ["bench_session"] * 6 + ["bench_level", "bench_summary"]
    )
    assert ran.summary["highest"] == 3
    assert ran.summary["levels"] == [1, 3]
    last = levels(ran)[-1]
    assert (last["runs"], last["finals"], last["errors"], last["held"]) == (6, 6, 0, True)
    assert server.clients == 8
    for measure in ("connect_ms", "ready_ms", "final_ms", "rtf"):
        assert last[measure]["n"] == 6
        assert 0 < last[measure]["p50"] <= last[measure]["p95"] <= last[measure]["max"]
    # Thirteen pieces of 40 ms in half a second.
    assert last["lateness_ms"]["n"] == 6 * 13
    assert all(session["complete"] and session["source"] == talk for session in ran.of("bench_session"))


def test_run_ends_at_the_first_exceeded_limit(talk: str) -> None:
    """The endpoint is slow for two sessions: level 3 does not run, and the highest level is 1."""
    here = [0]

    async def script(client: Client) -> None:
        here[0] += 1
        try:
            await client.greet()
            await client.until("input_audio_buffer.commit")
            item = await client.commit()
            await asyncio.sleep(8 if here[0] > 1 else 0)
            await client.complete(item, "slowly")
            await client.until("nothing")
        finally:
            here[0] -= 1

    with scripted(script) as server:
        ran = bench(server.url, "--sessions", "1,2,3", "--limit", "final_p95=7s", talk)
    assert ran.exit == 0, ran.err
    assert [level["held"] for level in levels(ran)] == [True, False]
    (limit,) = levels(ran)[-1]["limits"]
    assert (limit["name"], limit["allowed"], limit["held"]) == ("final_p95", 7000, False)
    assert limit["measured"] >= 8000 * 0.99
    assert ran.summary["highest"] == 1
    assert ran.summary["stopped_by"] == ["final_p95"]


def test_no_level_holds(talk: str) -> None:
    """All sessions succeed, but the first level exceeds the limit: exit 7."""
    with scripted(polite("so it is")) as server:
        ran = bench(server.url, "--limit", "ready_p50=0", talk)
    assert (ran.exit, ran.summary["exit"], ran.summary["highest"]) == (7, 7, None)


def test_no_endpoint(talk: str) -> None:
    """Every session fails for the same reason, which gives the exit code."""
    with nobody() as server:
        ran = bench(server.url, "--sessions", "2,4", "--connect-timeout", "0.5", talk)
    assert ran.exit == 5
    (level,) = levels(ran)
    assert (level["errors"], level["held"], level["connect_ms"]) == (1, False, None)
    assert sum(level["error_codes"].values()) == 2


def test_lost_connections_are_errors(talk: str) -> None:
    """By default a lost connection ends its session."""

    async def script(client: Client) -> None:
        await client.greet()
        await client.until("input_audio_buffer.append")
        client.cut()

    with scripted(script) as server:
        ran = bench(server.url, talk)
        assert server.clients == 1
    assert ran.exit == 5
    assert levels(ran)[0]["error_codes"] == {"connection_lost": 1}


def test_a_limit_on_cost_holds_for_all(talk: str) -> None:
    """``--max-cost`` counts the sound of all sessions; a warning reports the limit."""
    price = {"RT_PRICE_PER_MINUTE": "60"}
    with scripted(polite("so it is")) as server:
        args = ("--turn-detection", "none", "--json", "--sessions", "4", "--spread", "0", talk)
        ran = rt("bench", "--url", server.url, *args, env={**price, "RT_MAX_COST": "1"}, seconds=BUSY_S)
    assert levels(ran)[0]["warnings"]["max_cost"] >= 1
    assert len(server.audio) < 4 * RATE_HZ


def test_closed_stdout(talk: str) -> None:
    """A closed stdout ends the run with exit 0 and no error."""
    with scripted(polite("so it is")) as server:
        process = start("bench", "--url", server.url, "--turn-detection", "none", "--json", "--rounds", "1000", talk)
        assert process.stdout is not None
        assert b"bench_session" in process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        ran = ended(process, seconds=BUSY_S)
    assert (ran.exit, ran.causes) == (0, [])


def test_words_against_a_reference(talk: str, tmp_path: Path) -> None:
    """One of four words is wrong in every session."""
    reference = tmp_path / "talk.txt"
    reference.write_text("So it was, then.", encoding="utf-8")
    with scripted(polite("so it is then")) as server:
        ran = bench(server.url, "--reference", str(reference), "--limit", "wer=20%", "--sessions", "2", talk)
    assert ran.exit == 7
    assert levels(ran)[0]["wer"] == 0.25
    assert levels(ran)[0]["words"] == {"reference": 8, "substitutions": 2, "deletions": 0, "insertions": 0}


def test_table_for_people(talk: str) -> None:
    """The result is on stdout, progress on stderr."""
    with scripted(polite("so it is")) as server:
        ran = rt(
            *("bench", "--url", server.url, "--turn-detection", "none", "--spread", "0", "--sessions", "1,2"),
            *("--status", "plain", talk),
        )
    assert ran.exit == 0, ran.err
    head, _, one, two, *remarks, verdict = ran.out.splitlines()
    assert "to final" in head
    assert (one.split()[0], two.split()[0]) == ("1", "2")
    assert "* of so few values this is simply the largest" in remarks
    assert verdict == "held: 2 at once, the most that was tried"
    assert "2 at once: 2 ended" in ran.err
    assert "\x1b" not in ran.out + ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_live_table_on_a_terminal(talk: str) -> None:
    """The live table is on the terminal, the result alone on stdout."""
    person, program = os.openpty()
    with scripted(polite("so it is")) as server:
        process = subprocess.Popen(
            [
                *RT,
                "bench",
                "--url",
                server.url,
                "--turn-detection",
                "none",
                "--rounds",
                "1000",
                "--status",
                "live",
                talk,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=program,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
        )
        os.close(program)
        seen = b""
        while b"1 running" not in seen:
            assert select.select([person], [], [], BUSY_S)[0], seen
            seen += os.read(person, 65536)
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=BUSY_S)[0]
    os.close(person)
    assert process.returncode == 130
    assert b"to final" in seen
    assert b"\x1b" not in out
    assert out.splitlines()[-1] == b"held: no level; not 1: interrupted"


def test_embedded_endpoint() -> None:
    """A real endpoint with its own turn detection, and real speech."""
    with served("--recognizer", "none") as (url, _process):
        ran = rt(
            *("bench", "--url", url, "--model", "gpt-4o-transcribe", "--json", "--sessions", "1,4"),
            str(DATA / "sense_0930.wav"),
            seconds=BUSY_S,
        )
    assert ran.exit == 0, ran.err
    assert ran.summary["highest"] == 4
    last = levels(ran)[-1]
    assert (last["runs"], last["errors"]) == (4, 0)
    assert last["final_ms"]["n"] + last["unmeasured"] == last["finals"] >= 4


def test_local_runs_in_this_process() -> None:
    """The embedded endpoint has room for all sessions, and a warning says that it shares the CPU."""
    ran = rt("bench", "--local", "--json", "--sessions", "9", "-t", "1", str(DATA / "sense_0930.wav"), seconds=BUSY_S)
    assert ran.exit == 0, ran.err
    assert levels(ran)[0]["errors"] == 0
    assert "runs in this process" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal(talk: str, number: int, code: int) -> None:
    """Running sessions finish, no new ones start, and the interrupted level does not hold."""
    with scripted(polite("so it is")) as server:
        process = start(
            *("bench", "--url", server.url, "--turn-detection", "none", "--json"),
            *("--sessions", "2,3", "--rounds", "1000", "--spread", "0", talk),
        )
        server.wait_for("input_audio_buffer.commit", 3)
        process.send_signal(number)
        ran = ended(process)
    assert ran.exit == code, ran.err
    assert (ran.summary["type"], ran.summary["interrupted"], ran.summary["highest"]) == ("bench_summary", True, None)
    assert [level["sessions"] for level in levels(ran)] == [2]
    assert levels(ran)[0]["errors"] == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--sessions", "0"), "no such levels"),
        (("--sessions", "4,2"), "no such levels"),
        (("--sessions", "many"), "no such levels"),
        (("--sessions", "5000"), "no such levels"),
        (("--limit", "speed=1"), "nothing is called"),
        (("--limit", "wer=5%"), "--reference"),
        (("--reference", "missing.txt"), "cannot read the reference"),
        (("--reference", "a.txt", "--reference", "b.txt"), "one for each"),
        (("--spread", "soon"), "--spread must be a number"),
        (("--html", "."), "cannot write .: Is a directory"),
        (("--html", "x" * 300), "File name too long"),
        (("--html", "no/such/folder/report.html"), "cannot write"),
    ],
)
def test_usage_errors(args: tuple[str, ...], said: str, talk: str) -> None:
    """One line, before anything is sent."""
    with scripted(polite("never said")) as server:
        ran = rt("bench", "--url", server.url, *args, talk)
        assert server.clients == 0
    assert (ran.exit, ran.out) == (2, "")
    assert len(ran.causes) == 1
    assert said in ran.causes[0]


def test_recording_that_is_not_there() -> None:
    """A missing recording is an error before anything is sent."""
    with scripted(polite("never said")) as server:
        ran = rt("bench", "--url", server.url, "missing.wav")
        assert server.clients == 0
    assert ran.exit == 3
    assert len(ran.causes) == 1


def test_report_is_not_replaced(talk: str, tmp_path: Path) -> None:
    """An existing report is replaced only with ``--force``."""
    report = tmp_path / "report.html"
    report.write_text("mine", encoding="utf-8")
    with scripted(polite("so it is")) as server:
        assert bench(server.url, "--html", str(report), talk).exit == 2
        assert report.read_text(encoding="utf-8") == "mine"
        assert bench(server.url, "--html", str(report), "--force", talk).exit == 0
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
