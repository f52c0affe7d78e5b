"""When the replayed endpoint continues, and which differences it reports. No network."""

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
    """An append of the client."""
    return json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(bytes(size)).decode()})


def client_event(kind: str) -> str:
    """An event without audio."""
    return json.dumps({"type": kind, "event_id": "mine"})


def entry(ms: float, direction: str, what: str, connection: int = 1) -> Entry:
    """An entry from ``append N``, ``close CODE``, or an event type."""
    kind, _, number = what.partition(" ")
    if kind == "close":
        return Entry("close", connection, ms, direction, {"code": int(number), "reason": "why"})
    if kind == "binary":
        return Entry("event", connection, ms, direction, {"base64": {"bytes": int(number)}})
    event: dict[str, Any] = {"type": kind}
    if kind == "append":
        event = {"type": "input_audio_buffer.append", "audio": {"bytes": int(number)}}
    return Entry("event", connection, ms, direction, {"event": event})


def player_of(*lines: Line, speed: float = math.inf) -> ScriptPlayer:
    """The player of a recording with one connection, started at time 0."""
    opened = Entry("open", 1, 0.0)
    [script], missing = scripts_of([Entry("recording"), opened, *(entry(*line) for line in lines)])
    assert missing == 0
    return ScriptPlayer(script, speed, 0.0)


def perform(play: ScriptPlayer, now: float = 0.0) -> list[str]:
    """Do all actions that are due."""
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
    """The sizes of appends make no difference: the action comes exactly after the recorded amount of audio."""
    play = player_of(*SESSION)
    assert perform(play) == ["created"]
    assert play.receive(client_event("update"), 0) is None
    assert perform(play) == ["updated"]
    sent = 0
    for cut in [*cuts, 1200]:
        size = min(cut, 1200 - sent)
        sent += size
        assert play.receive(append(size), 0) is None
        assert perform(play) == (["started"] if sent >= 1000 > sent - size else [])
    assert play.missing() == "commit"
    assert play.receive(client_event("commit"), 0) is None
    assert perform(play) == ["committed", "completed"]
    assert play.action is None
    assert play.client_closes
    assert play.on_disconnect() is None


@pytest.mark.parametrize(("speed", "scale"), [(1.0, 1.0), (4.0, 0.25), (math.inf, 0.0)])
def test_pace(speed: float, scale: float) -> None:
    """Each action keeps its delay after the client data and after the action before."""
    play = player_of(*SESSION, speed=speed)
    assert play.due() == pytest.approx(0.010 * scale)
    perform(play, 1)
    play.receive(client_event("update"), 5.0)
    assert play.due() == pytest.approx(5 + 0.010 * scale)
    perform(play, 6)
    play.receive(append(1000), 7.0)
    assert play.due() == pytest.approx(7 + 0.100 * scale)
    perform(play, 8)
    play.receive(append(200), 9.0)
    play.receive(client_event("commit"), 10.0)
    assert play.due() == pytest.approx(10 + 0.010 * scale)
    assert perform(play, 11) == ["committed", "completed"]


def test_two_answers_to_one_question() -> None:
    """The delay of the second action counts from the client data, too."""
    play = player_of((0, "out", "ask"), (100, "in", "a"), (110, "in", "b"), speed=1.0)
    play.receive(client_event("ask"), 1.0)
    assert perform(play, 1.1) == ["a"]
    assert play.due() == pytest.approx(1.11)


@pytest.mark.parametrize(
    ("said", "complaint", "event_id"),
    [
        (client_event("response.create"), "the recording has update here, not response.create", "mine"),
        ('{"type":5}', "the recording has update here, not something without a type", None),
        ("no JSON", "the recording has update here, not something without a type", None),
        ("[" * 100_000, "the recording has update here, not something without a type", None),
        (b"\0", "the recording has update here, not something without a type", None),
    ],
)
def test_unexpected_event(said: str | bytes, complaint: str, event_id: str | None) -> None:
    """An unexpected event is a difference; the expected one is still required."""
    play = player_of(*SESSION)
    perform(play)
    difference = play.receive(said, 0)
    assert difference is not None
    assert (difference.message, difference.event_id) == (complaint, event_id)
    assert play.receive(client_event("update"), 0) is None
    assert perform(play) == ["updated"]


def test_binary_audio() -> None:
    """Binary messages are the sound where they were in the recording."""
    play = player_of((0, "out", "binary 600"), (9, "in", "partial"), (10, "out", "audio.done"), (11, "in", "done"))
    assert play.receive(bytes(500), 0) is None
    assert perform(play) == []
    assert play.receive(bytes(100), 0) is None
    assert perform(play) == ["partial"]
    assert play.receive(client_event("audio.done"), 0) is None
    assert perform(play) == ["done"]


def test_event_after_the_recording() -> None:
    """After the last recorded event, a further one is a difference only if the client ended the recording."""
    play = player_of((1, "out", "update"), (2, "out", "close 1000"))
    assert play.receive(client_event("update"), 0) is None
    difference = play.receive(client_event("commit"), 0)
    assert difference is not None
    assert difference.message == "the recording has nothing more here, not commit"
    for end in ((), ((2, "in", "close 1006"),)):
        play = player_of((1, "out", "update"), *end)
        assert play.receive(client_event("update"), 0) is None
        assert play.receive(client_event("commit"), 0) is None


def test_skip_missing() -> None:
    """missing() names the missing data; after skip_missing() the replay continues."""
    play = player_of(*SESSION)
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
        ([client_event("update"), append(1200)], "the client left; missing: commit"),
        (
            [client_event("update"), append(1100), client_event("commit")],
            "the client left; missing: 100 of 1200 bytes of sound",
        ),
    ],
)
def test_early_disconnect(said: list[str], complaint: str) -> None:
    """The difference names what the client had still to send, or to receive."""
    play = player_of(*SESSION)
    for each in said:
        play.receive(each, 0)
    difference = play.on_disconnect()
    assert difference is not None
    assert difference.message == complaint


def test_disconnect_before_the_last_messages() -> None:
    """Only messages long before the recorded close count as missing."""
    for done_ms, late in ((400, False), (5000, True)):
        play = player_of((0, "out", "ask"), (100, "in", "answer"), (done_ms, "out", "close 1000"))
        play.receive(client_event("ask"), 0)
        assert (play.on_disconnect() is not None) is late


def test_close_of_the_endpoint() -> None:
    """A close is an action with code and reason, a lost connection, too."""
    for code in (1001, 1006):
        play = player_of((0, "out", "append 4"), (9, "in", f"close {code}"), (10, "out", "close 1000"))
        assert not play.client_closes
        assert play.due() is None
        play.receive(append(4), 0)
        assert perform(play) == [f"close {code}"]
        assert play.on_disconnect() is None


def test_several_connections() -> None:
    """Connections in the order of opening, with refusals, without failed connections."""
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
