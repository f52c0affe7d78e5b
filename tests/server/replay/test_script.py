"""When the endpoint's side of a recording goes on, and what differs: decisions alone."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.recording_format import Entry
from rt_cli.server.replay.script import ScriptPlayer, scripts_of

Line = tuple[float, str, str]


def append(size: int) -> str:
    """What a client sends."""
    return json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(bytes(size)).decode()})


def word(kind: str) -> str:
    """An event that is no sound."""
    return json.dumps({"type": kind, "event_id": "mine"})


def entry(ms: float, direction: str, what: str, connection: int = 1) -> Entry:
    """``append N``, ``close CODE``, or the type of an event."""
    kind, _, number = what.partition(" ")
    if kind == "close":
        return Entry("close", connection, ms, direction, {"code": int(number), "reason": "why"})
    event: dict[str, Any] = {"type": kind}
    if kind == "append":
        event = {"type": "input_audio_buffer.append", "audio": {"bytes": int(number)}}
    return Entry("event", connection, ms, direction, {"event": event})


def played(*lines: Line, speed: float = math.inf) -> ScriptPlayer:
    """The only connection of a recording, begun at time 0."""
    opened = Entry("open", 1, 0.0)
    [script], missing = scripts_of([Entry("recording"), opened, *(entry(*line) for line in lines)])
    assert missing == 0
    return ScriptPlayer(script, speed, 0.0)


def perform(play: ScriptPlayer, now: float = 0.0) -> list[str]:
    """All that may be done by now."""
    done = []
    while (due := play.due()) is not None and due <= now:
        assert play.action is not None
        done.append(json.loads(play.action.data)["type"] if play.action.kind == "text" else f"close {play.action.code}")
        play.mark_done(due)
    return done


SESSION: tuple[Line, ...] = (
    (10, "in", "created"),
    (20, "out", "update"),
    (30, "in", "updated"),
    (40, "out", "append 600"),
    (50, "out", "append 400"),
    (150, "in", "started"),
    (160, "out", "append 200"),
    (170, "out", "commit"),
    (180, "in", "committed"),
    (400, "in", "completed"),
    (410, "out", "close 1000"),
    (420, "in", "close 1000"),
)


@given(st.lists(st.integers(0, 500), max_size=12))
def test_sound_in_any_pieces(cuts: list[int]) -> None:
    """How a client cuts its sound makes no difference, not a sample too early and not one too late."""
    play = played(*SESSION)
    assert perform(play) == ["created"]
    assert play.receive(word("update"), 0) is None
    assert perform(play) == ["updated"]
    sent = 0
    for cut in [*cuts, 1200]:
        size = min(cut, 1200 - sent)
        sent += size
        assert play.receive(append(size), 0) is None
        assert perform(play) == (["started"] if sent >= 1000 > sent - size else [])
    assert play.missing() == "commit"
    assert play.receive(word("commit"), 0) is None
    assert perform(play) == ["committed", "completed"]
    assert play.action is None
    assert play.client_closes
    assert play.on_disconnect() is None


@pytest.mark.parametrize(("speed", "scale"), [(1.0, 1.0), (4.0, 0.25), (math.inf, 0.0)])
def test_pace(speed: float, scale: float) -> None:
    """Each answer comes as late after what it answers, and after the answer before, as it had come."""
    play = played(*SESSION, speed=speed)
    assert play.due() == pytest.approx(0.010 * scale)
    perform(play, 1)
    play.receive(word("update"), 5.0)
    assert play.due() == pytest.approx(5 + 0.010 * scale)
    perform(play, 6)
    play.receive(append(1000), 7.0)
    assert play.due() == pytest.approx(7 + 0.100 * scale)
    perform(play, 8)
    play.receive(append(200), 9.0)
    play.receive(word("commit"), 10.0)
    assert play.due() == pytest.approx(10 + 0.010 * scale)
    assert perform(play, 11) == ["committed", "completed"]


def test_two_answers_to_one_question() -> None:
    """The second counts from the question, too, and not from when its turn came."""
    play = played((0, "out", "ask"), (100, "in", "a"), (110, "in", "b"), speed=1.0)
    play.receive(word("ask"), 1.0)
    assert perform(play, 1.1) == ["a"]
    assert play.due() == pytest.approx(1.11)


@pytest.mark.parametrize(
    ("said", "complaint", "event_id"),
    [
        (word("response.create"), "the recording has update here, not response.create", "mine"),
        ('{"type":5}', "the recording has update here, not something without a type", None),
        ("no JSON", "the recording has update here, not something without a type", None),
        ("[" * 100_000, "the recording has update here, not something without a type", None),
        (b"\0", "the recording has update here, not something without a type", None),
    ],
)
def test_something_else(said: str | bytes, complaint: str, event_id: str | None) -> None:
    """Is told, and has not been said: what was expected still counts."""
    play = played(*SESSION)
    perform(play)
    difference = play.receive(said, 0)
    assert difference is not None
    assert (difference.message, difference.event_id) == (complaint, event_id)
    assert play.receive(word("update"), 0) is None
    assert perform(play) == ["updated"]


def test_more_than_was_said() -> None:
    """After the last event there is none, if it was the client who ended it; else it was only cut short."""
    play = played((1, "out", "update"), (2, "out", "close 1000"))
    assert play.receive(word("update"), 0) is None
    difference = play.receive(word("commit"), 0)
    assert difference is not None
    assert difference.message == "the recording has nothing more here, not commit"
    for end in ((), ((2, "in", "close 1006"),)):
        play = played((1, "out", "update"), *end)
        assert play.receive(word("update"), 0) is None
        assert play.receive(word("commit"), 0) is None


def test_patience_at_an_end() -> None:
    """What is owed is named; then the play goes on without it."""
    play = played(*SESSION)
    perform(play)
    assert play.missing() == "update"
    play.skip_missing(0)
    assert perform(play) == ["updated"]
    play.receive(append(300), 0)
    assert play.missing() == "700 of 1000 bytes of sound"
    play.skip_missing(0)
    assert perform(play) == ["started"]
    assert play.missing() == "commit, 200 of 1200 bytes of sound"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ([], "the client left; missing: update, 1 more events, 1200 of 1200 bytes of sound"),
        ([word("update"), append(1200)], "the client left; missing: commit"),
        ([word("update"), append(1100), word("commit")], "the client left; missing: 100 of 1200 bytes of sound"),
    ],
)
def test_left_too_early(said: list[str], complaint: str) -> None:
    """What the client had still to say, or to hear, is named."""
    play = played(*SESSION)
    for each in said:
        play.receive(each, 0)
    difference = play.on_disconnect()
    assert difference is not None
    assert difference.message == complaint


def test_left_before_its_answer() -> None:
    """All was said, but what was long to come had not come; what had come at the end need not."""
    for done_ms, late in ((400, False), (5000, True)):
        play = played((0, "out", "ask"), (100, "in", "answer"), (done_ms, "out", "close 1000"))
        play.receive(word("ask"), 0)
        assert (play.on_disconnect() is not None) is late


def test_the_endpoint_ends_it() -> None:
    """A close is a deed like any other, with code and reason; a cut is one, too."""
    for code in (1001, 1006):
        play = played((0, "out", "append 4"), (9, "in", f"close {code}"), (10, "out", "close 1000"))
        assert not play.client_closes
        assert play.due() is None
        play.receive(append(4), 0)
        assert perform(play) == [f"close {code}"]
        assert play.on_disconnect() is None


def test_several_connections() -> None:
    """In the order in which they were opened; refusals are kept, what never was a connection is not."""
    scripts, missing = scripts_of(
        [
            Entry("failed", 1, 0.0, "", {"message": "nobody there"}),
            Entry("open", 2, 0.0),
            Entry("failed", 3, 0.0, "", {"status": 503}),
            Entry("open", 4, 0.0),
            entry(1, "in", "b", 4),
            entry(1, "in", "a", 2),
            Entry("dropped", fields={"lines": 4}),
            Entry("torn"),
        ]
    )
    assert missing == 5
    assert [script.refusal for script in scripts] == [None, 503, None]
    assert [b"a" in deed.data for script in scripts for deed in script.actions] == [True, False]
