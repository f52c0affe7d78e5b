"""``rt bench --talk`` as a process, against the embedded endpoint: its lines, its limits, what fails."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands.test_talk import words
from tests.program import ended, rt, served, start, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.program import Ran

BUSY_S = 90.0
"""Deadline of all levels, on a busy machine."""
SERVE = ("--recognizer", "none", "--reply", "counted", "--reply-text", "Yes.")
LATENCIES = ("endpointing_ms", "first_audio_ms", "voice_to_voice_ms")


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two turns of the user."""
    folder = tmp_path_factory.mktemp("turns")
    first = write_wav(folder / "first.wav", words("sense_0870.wav", 2.0))
    return str(first), str(write_wav(folder / "second.wav", words("sense_0930.wav", 1.5)))


@pytest.fixture(scope="module")
def counted() -> Iterator[str]:
    """The URL of an endpoint that replies at once."""
    with served(*SERVE) as (url, _):
        yield url


def bench(url: str, *args: str) -> Ran:
    """Hold conversations that all begin at once, with NDJSON output."""
    return rt("bench", "--talk", "--url", url, "--json", "--spread", "0", *args, seconds=BUSY_S)


def level(ran: Ran) -> dict[str, Any]:
    """Return the line of the last level."""
    return ran.of("bench_level")[-1]


def test_lines_of_conversations(counted: str, turns: tuple[str, str]) -> None:
    """All files are turns of each conversation; each reply has its latencies, and every session is accounted for."""
    ran = bench(counted, "--sessions", "1,3", *turns)

    assert ran.exit == 0, ran.err
    assert [event["type"] for event in ran.events] == (
        ["bench_session", "bench_level"] + ["bench_session"] * 3 + ["bench_level", "bench_summary"]
    )
    assert all(session["source"] == ", ".join(turns) for session in ran.of("bench_session"))
    last = level(ran)
    assert last["account"] == {"started": 3, "finished": 3, "failed": 0, "lost": 0}
    assert (last["replies"], last["interrupted"], last["failed_replies"], last["finals"]) == (6, 0, 0, 6)
    assert [last[name]["n"] for name in LATENCIES] == [6, 6, 6]
    assert "rtf" not in last
    for session in ran.of("bench_session"):
        # A nearest rank is exact to half a percent; the first sample of a counted reply can be heard.
        parts = session["endpointing_ms"]["max"] + session["first_audio_ms"]["max"]
        assert session["voice_to_voice_ms"]["max"] <= parts + 20
        assert session["voice_to_voice_ms"]["p50"] >= session["endpointing_ms"]["p50"] * 0.99
        assert session["endpointing_ms"]["p50"] >= 400
    assert ran.summary["highest"] == 3


def test_a_slow_endpoint_is_measured(turns: tuple[str, str]) -> None:
    """It thinks for two seconds before each reply: they are in its first audio, and not in the end of the turn."""
    with served(*SERVE, "--fault", "late=2s") as (url, _):
        ran = bench(url, "--sessions", "2", turns[0])

    assert ran.exit == 0, ran.err
    measured = level(ran)
    assert 2000 * 0.99 <= measured["first_audio_ms"]["p50"] <= 3500
    assert measured["endpointing_ms"]["p50"] < 2000
    parts = measured["endpointing_ms"]["p50"] + measured["first_audio_ms"]["p50"]
    assert measured["voice_to_voice_ms"]["p50"] == pytest.approx(parts, abs=300)


@pytest.mark.parametrize(
    ("limits", "exit_code", "stopped_by"),
    [
        (("--max-latency", "60s", "--limit", "errors=0"), 0, []),
        (("--max-latency", "0.1s"), 8, ["voice_to_voice_max"]),
        (("--limit", "endpointing_p50=100ms", "--limit", "first_audio_p95=1m"), 8, ["endpointing_p50"]),
    ],
)
def test_limits(
    limits: tuple[str, ...], exit_code: int, stopped_by: list[str], counted: str, turns: tuple[str, str]
) -> None:
    """Conversations that are slower than is allowed are not what was expected: exit 8."""
    ran = bench(counted, *limits, turns[0])

    assert (ran.exit, ran.summary["exit"]) == (exit_code, exit_code), ran.err
    assert ran.summary["stopped_by"] == stopped_by


@pytest.mark.parametrize(
    ("fault", "options", "failed", "exit_code"),
    [
        ("cut=200ms", (), {"reply_incomplete": 1}, 7),
        ("omit=response.done", (), {"reply_cut": 1}, 7),
        ("late=1m", (), {"no_reply": 1}, 7),
        ("reject=response.create", ("--turn-detection", "client"), {"reply_refused": 1}, 7),
        ("drop@reply1:100ms", (), None, 5),
    ],
)
def test_faults_of_replies(
    fault: str, options: tuple[str, ...], failed: dict[str, int] | None, exit_code: int, turns: tuple[str, str]
) -> None:
    """Each reply that fails is counted once; the cause gives the exit code, although a limit is passed, too."""
    with served(*SERVE, "--fault", fault) as (url, _):
        ran = bench(url, "--reply-timeout", "1.5", "--limit", "errors=0", *options, turns[0])

    assert ran.exit == exit_code, ran.err
    (session,) = ran.of("bench_session")
    # How much of a reply comes before a reset of its connection is not known.
    assert session["failed"] == failed if failed else session["failed"] in ({"reply_cut": 1}, {"no_reply": 1})
    assert (session["failed_replies"], level(ran)["failed_replies"]) == (1, 1)
    assert level(ran)["account"] == {"started": 1, "finished": 0, "failed": 1, "lost": 0}
    assert ran.summary["stopped_by"] == ["errors"]


def test_interruptions(turns: tuple[str, str]) -> None:
    """The second turn interrupts the reply to the first one, in each conversation."""
    with served("--recognizer", "none", "--reply", "echo") as (url, _):
        ran = bench(url, "--sessions", "2", "--interrupt-at", "0.4s", *turns)

    assert ran.exit == 0, ran.err
    assert (level(ran)["replies"], level(ran)["interrupted"], level(ran)["failed_replies"]) == (4, 2, 0)


def test_table_and_report(counted: str, turns: tuple[str, str], tmp_path: Path) -> None:
    """The table has the columns of conversations; the report has them and their plots."""
    pytest.importorskip("matplotlib")
    report = tmp_path / "report.html"
    ran = rt(
        *("bench", "--talk", "--url", counted, "--spread", "0", "--sessions", "2", "--status", "plain"),
        *("--html", str(report), turns[0]),
        seconds=BUSY_S,
    )

    assert ran.exit == 0, ran.err
    first, second, row, *_, verdict = ran.out.splitlines()
    assert "to voice" in first
    assert "to final" not in first
    assert len(row.split()) == 18
    assert row.split()[0] == "2"
    assert row.split()[-1] == "yes"
    assert second.split()[-1] == "held"
    assert verdict == "held: 2 at once, the most that was tried"
    assert "2 at once: 2 ended, voice to voice p95" in ran.err
    page = report.read_text(encoding="utf-8")
    assert "End of speech to the first sound of the reply, all of them" in page
    assert "<th>to voice</th>" in page


def test_the_embedded_endpoint_replies(turns: tuple[str, str]) -> None:
    """In this process, with room for all conversations."""
    ran = rt("bench", "--talk", "--local", "--json", "--sessions", "2", turns[0], seconds=BUSY_S)

    assert ran.exit == 0, ran.err
    assert (level(ran)["replies"], level(ran)["errors"]) == (2, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_an_interrupt_ends_all_conversations(counted: str, turns: tuple[str, str]) -> None:
    """What was measured is printed; nobody is lost, and a reply that nobody waits for has not failed."""
    process = start("bench", "--talk", "--url", counted, "--json", "--rounds", "1000", "--sessions", "2", turns[0])
    assert process.stdout is not None
    assert b"bench_session" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    ran = ended(process)

    assert ran.exit == 130, ran.err
    account = level(ran)["account"]
    assert account["lost"] == 0
    assert account["started"] == account["finished"] + account["failed"] == level(ran)["runs"]
    assert level(ran)["failed_replies"] == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--max-latency", "1s"), "--max-latency is for conversations: add --talk"),
        (("--voice", "ash"), "--voice is for conversations: add --talk"),
        (("--reply-timeout", "1"), "--reply-timeout is for conversations: add --talk"),
        (("--interrupt-at", "1s"), "--interrupt-at is for conversations: add --talk"),
        (("--limit", "voice_to_voice_p95=1s"), "only conversations have it: rt bench --talk measures it"),
        (("--talk", "--limit", "rtf_p95=1"), "conversations have no such measure"),
        (("--talk", "--limit", "voice_p95=1s"), "did you mean"),
        (("--talk", "--max-latency", "soon"), "no value for voice_to_voice_max"),
        (("--talk", "--interrupt-at", "1s"), "give two or more files"),
        (("--talk", "--turn-detection", "none"), "a conversation has turns"),
    ],
)
def test_usage_errors(args: tuple[str, ...], said: str, turns: tuple[str, str]) -> None:
    """One line, before anything is sent."""
    ran = rt("bench", "--url", "ws://127.0.0.1:9", *args, turns[0])

    assert (ran.exit, ran.out) == (2, "")
    assert len(ran.causes) == 1
    assert said in ran.causes[0]
