"""NDJSON, field by field, against the contract."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rt_cli.events import (
    Cost,
    Dropped,
    Errored,
    Event,
    Failed,
    Final,
    Latency,
    Ledger,
    Noted,
    Partial,
    Progress,
    RawEvent,
    SessionChanged,
    SourceOpened,
    Summary,
    Total,
    Warned,
    Withdrawn,
)
from rt_cli.output.results.ndjson import NdjsonOutput, to_json
from rt_cli.protocol.sanitize import printable
from tests.summaries import summary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LEDGER = Ledger(
    captured=48_000, settled=24_000, acknowledged=12_000, in_flight=2_400, waiting=2_400, dropped=7_200, padding=480
)


def summary(**more: Any) -> Summary:
    """Return a summary with the same samples."""
    fields: dict[str, Any] = {"complete": False, "rate_hz": 24_000, "ledger": LEDGER, "finals": 3, "reconnects": 1}
    return summary_of("a.wav", 7, wall_ms=2_100, **fields | more)


SUMMARY = summary()
SUMMARY_LINE = {
    "type": "summary",
    "source": "a.wav",
    "exit": 7,
    "complete": False,
    "rate_hz": 24_000,
    "captured_ms": 2_000,
    "settled_ms": 1_000,
    "dropped_ms": 300,
    "ledger": {
        "captured": 48_000,
        "settled": 24_000,
        "acknowledged": 12_000,
        "in_flight": 2_400,
        "waiting": 2_400,
        "dropped": 7_200,
        "padding": 480,
    },
    "sent_ms": 0,
    "gated_ms": 0,
    "finals": 3,
    "reconnects": 1,
    "latency_ms": None,
    "wall_ms": 2_100,
}
READY = SessionChanged("ready", "ws://127.0.0.1:1/v1/realtime", "openai", "whisper-1", 24_000)
READY_LINE = {
    "type": "session",
    "state": "ready",
    "endpoint": "ws://127.0.0.1:1/v1/realtime",
    "dialect": "openai",
    "model": "whisper-1",
    "rate_hz": 24_000,
    "attempt": 1,
}
OPENED = SourceOpened("a.wav", "file", 44_100, 2, 24_000, 2_000)


def lines(
    events: Iterable[Event], *, partials: bool = True, many: bool = False, source: str | None = None
) -> list[dict[str, Any]]:
    """Return the printed lines for ``events``."""
    printed: list[str] = []

    def write_line(line: str, *, droppable: bool = False, on_written: Callable[[], None] | None = None) -> None:
        assert on_written is None
        assert droppable is (json.loads(line)["type"] == "partial")
        printed.append(line)

    output = NdjsonOutput(write_line, partials=partials, many=many)
    output.source = source
    for event in events:
        output.on_event(event)
    return [json.loads(line) for line in printed]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(READY, READY_LINE, id="session"),
        pytest.param(
            replace(READY, state="lost", attempt=2, reason="1006"),
            READY_LINE | {"state": "lost", "attempt": 2, "reason": "1006"},
            id="session-with-reason",
        ),
        pytest.param(Partial(1, "he"), {"type": "partial", "turn": 1, "text": "he"}, id="partial"),
        pytest.param(
            Partial(1, "he", 0), {"type": "partial", "turn": 1, "text": "he", "start_ms": 0}, id="partial-from-zero"
        ),
        pytest.param(Withdrawn(2), {"type": "withdrawn", "turn": 2}, id="withdrawn"),
        pytest.param(Final(1, ""), {"type": "final", "turn": 1, "text": ""}, id="final-empty"),
        pytest.param(
            Final(1, "hello", 0, 900, approx=True, language="en", latency_ms=0, resumed=True),
            {
                "type": "final",
                "turn": 1,
                "text": "hello",
                "start_ms": 0,
                "end_ms": 900,
                "approx": True,
                "language": "en",
                "latency_ms": 0,
                "resumed": True,
            },
            id="final-with-everything",
        ),
        pytest.param(
            Failed(3, 0, 10, "server_error", "no"),
            {"type": "failed", "turn": 3, "start_ms": 0, "end_ms": 10, "code": "server_error", "message": "no"},
            id="failed",
        ),
        pytest.param(
            Dropped(0, 40, "overflow"),
            {"type": "dropped", "start_ms": 0, "end_ms": 40, "reason": "overflow"},
            id="dropped",
        ),
        pytest.param(
            Warned("silent", "no sound"), {"type": "warning", "code": "silent", "message": "no sound"}, id="warning"
        ),
        pytest.param(Errored("dns", "no host"), {"type": "error", "code": "dns", "message": "no host"}, id="error"),
        pytest.param(
            Errored("dns", "no host", "check it"),
            {"type": "error", "code": "dns", "message": "no host", "hint": "check it"},
            id="error-with-hint",
        ),
        pytest.param(SUMMARY, SUMMARY_LINE, id="summary"),
        pytest.param(
            replace(SUMMARY, latency_ms=Latency(100, 200, 300)),
            SUMMARY_LINE | {"latency_ms": {"p50": 100, "p95": 200, "max": 300}},
            id="summary-with-latency",
        ),
        pytest.param(
            summary(sent=48_024, gated=240, cost=Cost(0.25, "EUR"), skipped=True),
            SUMMARY_LINE
            | {"skipped": True, "sent_ms": 2_001, "gated_ms": 10, "cost": {"amount": 0.25, "currency": "EUR"}},
            id="summary-with-everything",
        ),
        pytest.param(
            Total(7, 2, 5, 1, 4_000, 3_000, 300, 5_000),
            {
                "type": "total",
                "exit": 7,
                "sources": 2,
                "finals": 5,
                "failed_sources": 1,
                "captured_ms": 4_000,
                "settled_ms": 3_000,
                "dropped_ms": 300,
                "wall_ms": 5_000,
            },
            id="total",
        ),
    ],
)
def test_fields(event: Event, expected: dict[str, object]) -> None:
    """Each type has the fields of the contract; optional fields are present only with a value."""
    *_, printed = lines([OPENED, event])

    assert printed == expected


def test_type_is_the_first_field() -> None:
    """A person who reads the stream sees the type at once."""
    assert to_json(READY, "a.wav").startswith('{"type":"session","source":"a.wav",')


def test_events_for_the_status_only_are_not_printed() -> None:
    """Levels and marks are not part of the contract."""
    progress = Progress(0, 0, 0, 0, -96.0, -96.0, None, "ready")

    assert lines([progress, Noted("hello")]) == []


def test_the_source_is_the_first_line() -> None:
    """Warnings from before a source is open follow its line; those of a source that does not open are not lost."""
    early, late = Warned("demo_quality", "demo"), Warned("clipping", "too loud")

    printed = lines([early, OPENED, late, Final(1, "x"), SUMMARY])
    assert [line["type"] for line in printed] == ["source", "warning", "warning", "final", "summary"]
    assert [line["code"] for line in printed if "code" in line] == ["demo_quality", "clipping"]
    assert [line["type"] for line in lines([early, Errored("x", "no such file"), SUMMARY])] == [
        *("warning", "error", "summary"),
    ]


def test_the_line_of_a_source() -> None:
    """What was opened, when, and by which version."""
    opened = SourceOpened(
        "microphone", "microphone", 48_000, 1, 24_000, device="Blue Yeti", began="2026-11-29T12:04:31.250Z", rt="0.2"
    )

    assert json.loads(to_json(opened, "microphone", "left")) == {
        "type": "source",
        "channel": "left",
        "source": "microphone",
        "kind": "microphone",
        "rate_hz": 48_000,
        "channels": 1,
        "wire_rate_hz": 24_000,
        "duration_ms": None,
        "device": "Blue Yeti",
        "began": "2026-11-29T12:04:31.250Z",
        "rt": "0.2",
        "schema": 2,
    }


def test_the_time_of_an_event_is_its_last_field() -> None:
    """Those before it stay where they were."""
    for event in (READY, SUMMARY):
        stamped = to_json(replace(event, at="2026-11-29T12:04:31.250Z"))
        assert stamped == to_json(event)[:-1] + ',"at":"2026-11-29T12:04:31.250Z"}'


def test_progress_comes_as_often_as_asked_for() -> None:
    """The first at once, then one an interval, for each source apart; others are left out."""
    printed: list[dict[str, Any]] = []
    clock = [0.0]
    output = NdjsonOutput(
        lambda line, **_: printed.append(json.loads(line)), partials=False, progress_s=10.0, now=lambda: clock[0]
    )
    output.on_event(OPENED)
    for tenth in range(250):
        clock[0] = tenth / 10
        output.on_event(Progress(tenth * 100, 0, 0, 0, -20.0, -10.0, None, "ready"))

    assert [line["captured_ms"] for line in printed if line["type"] == "progress"] == [0, 10_000, 20_000]


def test_events_of_the_endpoint_only_with_the_option() -> None:
    """Whatever their texts hold, the line is safe for a terminal."""
    event = RawEvent({"type": "x", "text": "\x9b1m", "audio": {"bytes": 4_800}})
    printed: list[str] = []
    for raw in (False, True):
        NdjsonOutput(lambda line, **_: printed.append(line), partials=False, raw=raw).on_event(event)

    assert printed == [r'{"type":"raw","event":{"type":"x","text":"\u009b1m","audio":{"bytes":4800}}}']


def test_partials_only_with_the_option() -> None:
    """Without ``--partials`` there are no partials, but withdrawals are still printed."""
    printed = lines([Partial(1, "he"), Withdrawn(1), Final(1, "hello")], partials=False)

    assert [line["type"] for line in printed] == ["withdrawn", "final"]


def test_with_several_sources_each_line_names_its_own() -> None:
    """The source is the last one opened; a summary names its own source, a total none."""
    other = replace(OPENED, source="b.wav")
    total = Total(0, 2, 2, 0, 1, 1, 0, 1)
    printed = lines([OPENED, Final(1, "a"), SUMMARY, other, Final(1, "b"), total], many=True)

    assert [line.get("source") for line in printed] == ["a.wav", "a.wav", "a.wav", "b.wav", "b.wav", None]


def test_a_source_that_never_opened_can_be_named() -> None:
    """The error of a source that cannot be opened names the file."""
    printed = lines([Errored("audio_input", "no such file")], source="missing.wav", many=True)

    assert printed[0]["source"] == "missing.wav"


def test_a_summary_without_a_rate_is_still_printed() -> None:
    """A source that failed before its rate was known has 0 captured milliseconds."""
    assert lines([summary(rate_hz=0)])[0]["captured_ms"] == 0


def test_a_file_name_that_is_no_utf8_is_parseable() -> None:
    """A lone surrogate becomes the text of an escape: strict readers reject the real one."""
    line = to_json(replace(SUMMARY, source="caf\udce9.wav"))

    assert json.loads(line.encode())["source"] == "caf\\udce9.wav"


@given(st.text())
def test_any_text_survives_without_control_characters(text: str) -> None:
    """A line is one line, holds no control character, and gives the text back."""
    line = to_json(Final(1, text))

    assert line == printable(line)
    assert json.loads(line)["text"] == text.encode("utf-8", "backslashreplace").decode()
