"""Replies at another rate than the conversation: nothing is lost at their ends, and nothing is said twice."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.protocol.conversation.events import AudioDelta, OutputItem, OutputItemDone, ResponseDone
from rt_cli.protocol.server_events import SpeechStarted
from rt_cli.talk.reply_sound import ReplySound

TONE = (8_000 * np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000)).astype("<i2")


def sound_of(events: list[object]) -> bytes:
    """All audio of the events."""
    return b"".join(each.pcm for each in events if isinstance(each, AudioDelta))


def delta(pcm: bytes, event_id: str | None = None, item: str = "i") -> AudioDelta:
    """Audio of a message."""
    return AudioDelta("r", item, 0, pcm, event_id)


def test_an_equal_rate_changes_nothing() -> None:
    """The event itself."""
    event = delta(b"\1\0")

    assert ReplySound(24_000, 24_000).converted(event)[0] is event


@given(cuts=st.lists(st.integers(0, TONE.size), max_size=6))
def test_pieces_are_one_sound(cuts: list[int]) -> None:
    """However it is cut, it has its length, and the tone at the place of each sample."""
    sound = ReplySound(24_000, 16_000)
    edges = [0, *sorted(cuts), TONE.size]
    events: list[object] = []
    for start, end in itertools.pairwise(edges):
        events += sound.converted(delta(TONE[start:end].tobytes()))
    events += sound.converted(ResponseDone("r"))

    assert isinstance(events[-1], ResponseDone)
    got = np.frombuffer(sound_of(events), "<i2").astype(float)
    wanted = 8_000 * np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000)
    assert abs(got.size - 16_000) <= 1
    assert np.abs(got[200:15_800] - wanted[200:15_800]).max() < 40


def test_the_end_of_a_message_ends_its_sound_alone() -> None:
    """Another message goes on; what is held back comes before the end, once."""
    sound = ReplySound(24_000, 16_000)
    first = sound_of(list(sound.converted(delta(TONE.tobytes(), item="a"))))
    sound.converted(delta(TONE.tobytes(), item="b"))

    ended = sound.converted(OutputItemDone("r", OutputItem("a", "message")))
    again = sound.converted(OutputItemDone("r", OutputItem("a", "message")))
    done = sound.converted(ResponseDone("r"))

    assert abs(len(first + sound_of(list(ended))) // 2 - 16_000) <= 1
    assert [type(each).__name__ for each in ended] == ["AudioDelta", "OutputItemDone"]
    assert len(again) == 1
    assert [each.item_id for each in done if isinstance(each, AudioDelta)] == ["b"]


def test_a_delta_that_is_delivered_twice_counts_once() -> None:
    """Where it has an id; without one it may be said twice."""
    sound = ReplySound(24_000, 16_000)
    pcm = TONE.tobytes()

    for event in (delta(pcm, "e1"), delta(pcm, "e1")):
        last = sound.converted(event)
    rest = [*sound.converted(delta(pcm)), *sound.converted(delta(pcm))]

    assert last == []
    assert len(sound_of(list(rest))) > 2 * 15_000 * 2


def test_a_lost_connection_takes_its_sound_with_it() -> None:
    """The next reply begins with a new filter; other events pass."""
    sound = ReplySound(24_000, 16_000)
    sound.converted(delta(TONE.tobytes()))

    sound.lost()

    assert sound.converted(ResponseDone("r")) == [ResponseDone("r")]
    assert sound.converted(SpeechStarted("i", 0)) == [SpeechStarted("i", 0)]
