"""Status as plain lines, over a real pipe."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rt_cli.events import (
    Dropped,
    EndpointChosen,
    Errored,
    Event,
    Failed,
    Final,
    Ledger,
    Partial,
    Progress,
    SessionChanged,
    SourceOpened,
    Total,
    Warned,
    Withdrawn,
)
from rt_cli.output.line_writer import LineWriter
from rt_cli.output.status.color import add_color
from rt_cli.output.status.messages import note, seconds
from rt_cli.output.status.plain import PROGRESS_EVERY_S, PlainStatus
from tests.summaries import summary_of

if TYPE_CHECKING:
    from rt_cli.output.status.color import Color
    from rt_cli.output.status.messages import Level

DEADLINE_S = 5.0
OPENED = SourceOpened("a.wav", "file", 44_100, 2, 24_000, 13_700)
READY = SessionChanged("ready", "ws://host/v1/realtime", "openai", "whisper-1", 24_000)
LOST = replace(READY, state="lost", reason="the connection was cut", captured_ms=2_900, give_up_ms=600_000)
BACK = replace(READY, state="resumed", outage_ms=300, resent_ms=0)
NOTHING = Ledger(0, 0, 0, 0, 0, 0, 0)
LEDGER = Ledger(captured=24_000, settled=24_000, acknowledged=0, in_flight=0, waiting=0, dropped=0, padding=0)
SUMMARY = summary_of("a.wav", 0, complete=True, rate_hz=24_000, ledger=LEDGER, finals=1, reconnects=0, wall_ms=1_500)
CUT = summary_of(
    "a.wav",
    7,
    complete=False,
    rate_hz=24_000,
    ledger=Ledger(24_000, 0, 6_000, 3_000, 3_000, 12_000, 0),
    finals=0,
    reconnects=2,
    wall_ms=61_000,
)


class Ticks:
    """A clock set by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def printed(*steps: Event | float, level: Level = "all", partials: bool = False) -> list[str]:
    """Return the printed lines for the steps; a number advances the clock by that many seconds."""
    read_end, write_end = os.pipe()
    clock = Ticks()
    with io.FileIO(read_end) as reader:
        with os.fdopen(write_end, "w") as stream:
            writer = LineWriter(stream, on_broken=lambda: None)
            status = PlainStatus(writer, level=level, partials=partials, now=clock)
            for step in steps:
                if isinstance(step, float):
                    clock.now += step
                else:
                    status.on_event(step)
            assert status.close(DEADLINE_S)
        return (reader.readall() or b"").decode().splitlines()


def progress(captured_ms: int, state: str = "ready") -> Progress:
    """Progress with everything acknowledged."""
    return Progress(captured_ms, captured_ms, 0, 0, -20.0, -10.0, 5.0, state)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(OPENED, "source: a.wav (file, 44100 Hz, stereo, 13.7 s)", id="source"),
        pytest.param(
            SourceOpened("microphone", "microphone", 48_000, 1, 24_000, device="Mic"),
            "source: Mic (microphone, 48000 Hz, mono)",
            id="microphone",
        ),
        pytest.param(READY, "ready: openai, whisper-1, 24000 Hz", id="ready"),
        pytest.param(
            SessionChanged("rolled_over", "ws://host", "openai", "", 24_000, attempt=3, reason="expires soon"),
            "rolled over: expires soon",
            id="rolled-over",
        ),
        pytest.param(Warned("silent", "no sound"), "warning: no sound", id="warning"),
        pytest.param(
            Failed(2, 1_000, 2_000, "server_error", "try later"),
            "warning: 1.0-2.0 s was not transcribed: the endpoint says: try later",
            id="failed",
        ),
        pytest.param(
            Failed(2, 59_000, 61_000, "server_error", "try later"),
            "warning: 59.0 s-1:01 was not transcribed: the endpoint says: try later",
            id="failed-around-a-minute",
        ),
        pytest.param(
            Dropped(61_000, 61_500, "overflow"),
            "warning: 0.5 s of sound lost at 1:01: this machine was too busy to take it",
            id="dropped",
        ),
        pytest.param(Dropped(0, 500, "new_one"), "warning: 0.5 s of sound lost at 0.0 s: new one", id="dropped-anew"),
        pytest.param(
            EndpointChosen("127.0.0.1:8799", "whisper-1", "RT_URL"),
            "endpoint: 127.0.0.1:8799, whisper-1 (RT_URL)",
            id="endpoint",
        ),
        pytest.param(LOST, "warning: the connection was cut at 2.9 s", id="cut"),
        pytest.param(
            replace(READY, state="resumed", outage_ms=340, resent_ms=4_200),
            "reconnected after 0.3 s, 4.2 s of sound sent again",
            id="resumed",
        ),
        pytest.param(
            replace(READY, state="lost", reason="nothing listens at h:1", give_up_ms=9_950),
            "connecting: nothing listens at h:1; trying for 10.0 s",
            id="never-reached",
        ),
        pytest.param(Warned("loop_lag", "held up", minor=True), None, id="minor-warning"),
        pytest.param(
            EndpointChosen("embedded", "pocketsphinx", "--local", "demo quality, English only"),
            "endpoint: embedded, pocketsphinx, demo quality, English only (--local)",
            id="endpoint-of-demo-quality",
        ),
        pytest.param(Dropped(0, 500, "failed"), None, id="dropped-as-failed-said"),
        pytest.param(Errored("dns", "no such host x"), "rt: no such host x", id="error"),
        pytest.param(
            Errored("dns", "no such host x", "check it"), "rt: no such host x: check it", id="error-with-hint"
        ),
        pytest.param(SUMMARY, "done: a.wav: 1.0 s heard, 1 turn, 1.5 s", id="summary"),
        pytest.param(
            CUT,
            "incomplete: a.wav: 1.0 s of 1.0 s not transcribed",
            id="summary-incomplete",
        ),
        pytest.param(
            replace(CUT, exit=143, ledger=LEDGER),
            "incomplete: a.wav: ended after 1.0 s, all of which is transcribed",
            id="summary-ended-early",
        ),
        pytest.param(replace(CUT, ledger=NOTHING, captured_ms=0), None, id="summary-of-nothing"),
        pytest.param(
            replace(CUT, exit=0),
            "ended: a.wav: 1.0 s heard, 0 turns, 1:01, 2 reconnects, 0.5 s lost",
            id="summary-unread",
        ),
        pytest.param(
            Total(0, 2, 5, 0, 3_600_000, 0, 0, 5_000),
            "total: 2 sources, 1:00:00 heard, 5 turns, 5.0 s",
            id="total",
        ),
        pytest.param(Final(1, "hello"), None, id="final"),
    ],
)
def test_messages(event: Event, expected: str | None) -> None:
    """The message of each event."""
    assert note(event) == expected


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        pytest.param("all", ["source:", "warning:", "rt:", "incomplete:", "done:"], id="all"),
        pytest.param("warnings", ["warning:", "rt:", "incomplete:"], id="warnings"),
        pytest.param("errors", ["rt:"], id="errors"),
    ],
)
def test_levels(level: Level, expected: list[str]) -> None:
    """Errors are printed at every level, other messages only at their level."""
    lines = printed(OPENED, Warned("x", "y"), progress(0), Errored("x", "y"), CUT, SUMMARY, level=level)

    assert [line.split()[0] for line in lines if ":" in line] == expected


def test_a_state_is_printed_when_it_changes() -> None:
    """The same state ten times a second is one line."""
    connecting = [progress(0, "connecting")] * 3
    lines = printed(*connecting, READY, *[progress(100)] * 3, progress(200, "draining"))

    assert lines == ["connecting", note(READY), "waiting for the last words"]


def test_a_try_that_fails_is_not_told_again() -> None:
    """An endpoint that is never there is one line, however often it is tried."""
    refused = replace(READY, state="lost", reason="nothing listens at h:1", give_up_ms=10_000)
    tries = [progress(0, "connecting"), refused, progress(0, "lost"), progress(0, "connecting"), refused]

    assert printed(*tries) == ["connecting", "connecting: nothing listens at h:1; trying for 10.0 s"]


def test_progress_is_printed_every_ten_seconds_at_most() -> None:
    """Twenty seconds of progress are two lines, with the number of finals."""
    steps: list[Event | float] = [READY, Final(1, "hello")]
    for quarter in range(81):
        steps += [progress(quarter * 250), 0.25]
    lines = printed(*steps)[1:]

    assert PROGRESS_EVERY_S == 10
    assert len(lines) == 2
    assert lines[0].endswith("captured, 10.0 s acknowledged, 0.0 s settled, 1 final")


def test_unchanged_progress_is_not_printed() -> None:
    """The same progress one minute later prints nothing."""
    lines = printed(READY, 10.0, progress(100), 60.0, progress(100))[1:]

    assert lines == ["0.1 s captured, 0.1 s acknowledged, 0.0 s settled, 0 finals"]


def test_partials_are_printed_with_the_option() -> None:
    """Each different text of a turn is one line."""
    lines = printed(Partial(1, "he"), Partial(1, "he"), Partial(1, "hello"), Withdrawn(1), partials=True)

    assert lines == ["turn 1: he", "turn 1: hello", "turn 1: withdrawn, will be heard again"]


def test_partials_are_not_printed_by_default() -> None:
    """Finals are on stdout only."""
    assert printed(Partial(1, "he"), Final(1, "hello")) == []


HOSTILE = st.text() | st.text("\x1b[]\x9b\x07\r\n0123;mHJK\u202e rt:")


@given(HOSTILE, HOSTILE)
@settings(max_examples=50, deadline=None)
def test_only_the_error_starts_with_rt(text: str, other: str) -> None:
    """A failing run has exactly one ``rt:`` line for any text of the endpoint, and no control characters."""
    lines = printed(
        READY,
        Partial(1, text),
        Warned("x", text),
        Failed(1, 0, 1, "x", text),
        SessionChanged("lost", other, text, other, 1, reason=text),
        Errored("x", text, other),
        partials=True,
    )

    assert sum(line.startswith("rt:") for line in lines) == 1
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for line in lines for char in line)


@pytest.mark.parametrize(
    ("ms", "expected"),
    [(0, "0.0 s"), (59_999, "59.9 s"), (60_000, "1:00"), (3_599_000, "59:59"), (3_661_000, "1:01:01")],
    ids=["zero", "almost-a-minute", "minute", "almost-an-hour", "hour"],
)
def test_seconds(ms: int, expected: str) -> None:
    """Format of durations."""
    assert seconds(ms) == expected


def test_an_outage_is_two_lines() -> None:
    """Its beginning, once, and its end, which says nothing lost only if nothing was."""
    assert printed(READY, LOST, LOST, LOST, BACK)[1:] == [
        "warning: the connection was cut at 2.9 s",
        "reconnected after 0.3 s, nothing lost",
    ]
    assert printed(LOST, Dropped(0, 1_000, "full"), BACK)[1:] == [
        "warning: 1.0 s of sound lost at 0.0 s: too much of it waited",
        "reconnected after 0.3 s",
    ]
    assert printed(READY, LOST, BACK, level="warnings") == ["warning: the connection was cut at 2.9 s"]


def test_a_run_without_fault_prints_nothing_at_the_level_of_warnings() -> None:
    """All that happens in such a run is known from its results."""
    lag = Warned("loop_lag", "the program was held up for 51 ms", minor=True)
    chosen = EndpointChosen("h:1", "whisper-1", "--url")
    steps = (chosen, OPENED, progress(0), READY, lag, Final(1, "x"), progress(9, "draining"), SUMMARY)

    assert printed(*steps, level="warnings") == []
    assert len(printed(*steps)) == 5


def test_missing_finals_are_one_line() -> None:
    """The summary says how much is missing of how much; with -q, which prints no summary, the error does."""
    error = Errored("incomplete", "1.0 s of audio are in no final", "see the summary")

    assert printed(error, CUT) == ["incomplete: a.wav: 1.0 s of 1.0 s not transcribed"]
    assert printed(error, CUT, level="errors") == ["rt: 1.0 s of audio are in no final: see the summary"]


def test_a_microphone_has_its_own_name() -> None:
    """The last line names the device."""
    opened = SourceOpened("microphone", "microphone", 48_000, 1, 24_000, device="Blue Yeti")

    assert printed(opened, replace(SUMMARY, source="microphone"))[-1] == "done: Blue Yeti: 1.0 s heard, 1 turn, 1.5 s"


@pytest.mark.parametrize(
    ("line", "color", "expected"),
    [
        ("rt: it broke", "prefix", "\x1b[31mrt:\x1b[0m it broke"),
        ("rt: it broke", "text", "rt: \x1b[31mit broke\x1b[0m"),
        ("rt: it broke", "none", "rt: it broke"),
        ("warning: rt: x", "prefix", "\x1b[33mwarning:\x1b[0m rt: x"),
        ("warning: rt: x", "text", "warning: \x1b[33mrt: x\x1b[0m"),
        ("incomplete: x", "prefix", "\x1b[31mincomplete:\x1b[0m x"),
        ("done: a.wav", "prefix", "\x1b[2mdone: a.wav\x1b[0m"),
        ("done: a.wav", "text", "done: a.wav"),
        ("turn 1: rt: x", "text", "turn 1: rt: x"),
        ("", "prefix", ""),
    ],
)
def test_colours_of_a_line(line: str, color: Color, expected: str) -> None:
    """Terminals show the prefix in colour; in a pipe it stays first, because scripts search for it."""
    assert add_color(line, color) == expected
