"""A recording as text: lines, combined audio, no control characters."""

from __future__ import annotations

from rt_cli.output.results.wire_timeline import timeline
from rt_cli.protocol.recording_format import Entry

HEAD = Entry("recording", fields={"began": "2026-01-01T00:00:00.000Z", "audio": False})


def opened(connection: int, began_ms: float) -> Entry:
    """Return the entry of an open connection."""
    return Entry("open", connection, 5, "", {"url": "ws://h/v1/realtime", "source": "a.wav", "began_ms": began_ms})


def event(ms: float, direction: str, connection: int = 1, **fields: object) -> Entry:
    """Return the entry of an event."""
    return Entry("event", connection, ms, direction, {"event": fields})


def append(ms: float, connection: int = 1) -> Entry:
    """Return the entry of an audio message."""
    return event(ms, "out", connection, type="input_audio_buffer.append", audio={"bytes": 960})


def test_sound_and_pings_are_one_line() -> None:
    """Consecutive audio and pings of a connection are one line; all connections share one clock."""
    entries = [
        HEAD,
        opened(1, 1000),
        append(10),
        Entry("ping", 1, 11, "out"),
        append(12),
        opened(2, 2000),
        append(13, 2),
        Entry("pong", 1, 14, "in"),
        event(20, "in", type="x", event_id="e", item_id="i", transcript="hi"),
        Entry("close", 1, 30, "out", {"code": 1000, "reason": "bye"}),
    ]
    assert list(timeline(entries)) == [
        "recorded 2026-01-01T00:00:00.000Z, without the sound",
        "     1.005    1   open ws://h/v1/realtime a.wav",
        "     1.010    1 > 2 x input_audio_buffer.append, 1920 B, 1 x ping",
        "     2.005    2   open ws://h/v1/realtime a.wav",
        "     2.013    2 > 1 x input_audio_buffer.append, 960 B",
        '     1.020    1 < x {"transcript": "hi", "item_id": "i"}',
        "     1.030    1 > close 1000 bye",
    ]


def test_whole_prints_every_entry() -> None:
    """One line per entry, with longer content."""
    long = "word " * 50
    entries = [HEAD, append(1), Entry("ping", 1, 2, "out"), event(3, "in", type="x", delta=long)]
    assert list(timeline(entries, whole=True))[1:] == [
        "     0.001    1 > input_audio_buffer.append 960 B",
        "     0.002    1 > ping",
        f'     0.003    1 < x {{"delta": "{long}"}}',
    ]
    assert len(list(timeline(entries))[-1]) < 130


def test_binary_audio() -> None:
    """It has no type."""
    binary = [Entry("event", 1, at, "out", {"base64": {"bytes": 960}}) for at in (1, 2)]
    assert list(timeline([HEAD, *binary]))[1:] == ["     0.001    1 > 2 x binary, 1920 B"]
    assert list(timeline([HEAD, binary[0]], whole=True))[1:] == ["     0.001    1 > binary 960 B"]


def test_failures_non_events_and_gaps() -> None:
    """Failed connections, messages that are not events, dropped and torn lines."""
    entries = [
        HEAD,
        Entry("failed", 1, 5, "", {"url": "ws://h", "status": 503, "message": "busy"}),
        Entry("event", 1, 6, "in", {"text": "no JSON"}),
        Entry("event", 1, 7, "in", {"base64": "AAE="}),
        Entry("dropped", fields={"lines": 7}),
        Entry("torn"),
    ]
    assert [line.strip() for line in timeline(entries)][1:] == [
        "0.005    1   failed ws://h HTTP 503, busy",
        "0.006    1 < no event: no JSON",
        "0.007    1 < binary, 2 B",
        "the disk was too slow for 7 lines",
        "the last line is torn: the recording was killed",
    ]


def test_no_line_controls_the_terminal() -> None:
    """Control characters of an endpoint or of an edited file are not printed."""
    bad = "\x1b]0;title\x07\n\x9b31m"
    entries = [
        Entry("recording", fields={"began": bad}),
        Entry("open", 1, 0, "", {"url": bad, "source": bad}),
        Entry("failed", 2, 0, "", {"url": bad, "message": bad}),
        event(1, "in", type=bad, transcript=bad),
        event(1, "in", type=[bad]),
        Entry("event", 1, 1, "in", {"text": bad}),
        Entry("close", 1, 1, "in", {"code": 1000, "reason": bad}),
        Entry("dropped", fields={"lines": bad}),
    ]
    for line in (*timeline(entries), *timeline(entries, whole=True)):
        assert line.isprintable(), line
