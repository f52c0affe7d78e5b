"""The conversation: audio and commands in, events and decisions out; no model, no socket."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.local.config import SessionConfig
from rt_cli.local.conversation import Abandon, Action, Conversation, Feed, Finish, Open, Pause, Send
from rt_cli.local.wire import Rejected

RATE = 16_000
FRAME = 512
QUIET, SPEECH = 0.0, 1.0
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 64, "silence_duration_ms": 96}


def conversation(turn_detection: dict[str, Any] | None = VAD, *, words: bool = True) -> Conversation:
    """A session at 16 kHz whose items are called a, b, c, ..."""
    names = itertools.count()
    config = SessionConfig("transcription", RATE, {"model": "any"} if words else None, turn_detection=turn_detection)
    talk = Conversation(config, lambda: chr(ord("a") + next(names) % 26))
    talk.listen(FRAME)
    return talk


def frames(talk: Conversation, *probabilities: float) -> list[Action]:
    """Hear a frame for each probability; its samples are its number."""
    actions: list[Action] = []
    for probability in probabilities:
        number = talk.received // FRAME
        actions += talk.hear(number.to_bytes(2, "little") * FRAME, [probability])
    return actions


def told(actions: list[Action]) -> list[str]:
    """The short names of what happened."""
    return [
        action.event["type"].split(".", 1)[-1] if isinstance(action, Send) else type(action).__name__
        for action in actions
    ]


def fed(actions: list[Action]) -> list[int]:
    """The numbers of the frames that were recognised."""
    pcm = b"".join(action.pcm for action in actions if isinstance(action, Feed))
    return [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), 2 * FRAME)]


def test_a_turn_of_server_vad() -> None:
    """Speech makes an item in OpenAI's order of events, and exactly its audio is recognised."""
    talk = conversation()
    actions = frames(talk, *[QUIET] * 10, *[SPEECH] * 5, *[QUIET] * 5)

    assert [name for name in told(actions) if name not in {"Feed", "TurnEnded"}] == [
        *("speech_started", "Open", "speech_stopped", "committed", "item.added", "item.done", "Finish")
    ]
    assert list(range(8, 18)) == fed(actions)


def test_offsets_count_from_the_start_of_all_audio() -> None:
    """The start includes the prefix, the end the silence."""
    talk = conversation()
    events = [a.event for a in frames(talk, *[QUIET] * 10, *[SPEECH] * 5, *[QUIET] * 5) if isinstance(a, Send)]

    assert events[0]["audio_start_ms"] == (10 - 2) * 32
    assert events[1]["audio_end_ms"] == (15 + 3) * 32


def test_previous_item() -> None:
    """Each item names the one before it; the first names none."""
    talk = conversation()
    actions = frames(talk, *[SPEECH, SPEECH, *[QUIET] * 4] * 3)

    chain = [a.event for a in actions if isinstance(a, Send) and a.event["type"] == "input_audio_buffer.committed"]
    assert [(e["previous_item_id"], e["item_id"]) for e in chain] == [(None, "a"), ("a", "b"), ("b", "c")]


def test_commit_during_speech() -> None:
    """A commit closes the item; no speech_stopped is told for it, and who speaks on starts another."""
    talk = conversation()
    frames(talk, *[SPEECH] * 5)
    committed = talk.commit()
    later = frames(talk, *[SPEECH] * 2)

    assert told(committed) == ["committed", "item.added", "item.done", "Finish", "TurnEnded"]
    assert told(later)[:2] == ["speech_started", "Open"]


def test_commit_without_speech() -> None:
    """A commit without speech is an item whose text is empty, without any recognition."""
    talk = conversation(None)
    frames(talk, *[QUIET] * 10)

    assert [name.removeprefix("item.input_audio_transcription.") for name in told(talk.commit())] == [
        "committed",
        "item.added",
        "item.done",
        "completed",
        "TurnEnded",
    ]


@pytest.mark.parametrize("received", [0, 3])
def test_commit_of_too_little(received: int) -> None:
    """Less than 100 ms is no item."""
    talk = conversation(None)
    frames(talk, *[SPEECH] * received)

    with pytest.raises(Rejected) as refusal:
        talk.commit()
    assert refusal.value.code == "input_audio_buffer_commit_empty"


def test_manual_item() -> None:
    """Where the client commits, no speech is told, only speech is recognised, and pauses do not end the item."""
    talk = conversation(None)
    silence = [QUIET] * 40
    actions = frames(talk, *silence, *[SPEECH] * 5, *silence, *[SPEECH] * 5)
    actions += talk.commit()

    assert [name for name in told(actions) if name not in {"Feed", "TurnEnded"}] == [
        *("Open", "Pause", "committed", "item.added", "item.done", "Finish")
    ]
    assert len(fed(actions)) < 2 * (5 + 10 + 17)


def test_usage_counts_the_whole_item() -> None:
    """An item committed by hand is as long as its audio, speech or not."""
    talk = conversation(None)
    frames(talk, *[QUIET] * 40, *[SPEECH] * 10)

    finish = next(action for action in talk.commit() if isinstance(action, Finish))
    assert finish.seconds == 50 * FRAME / RATE


def test_clear() -> None:
    """What was cleared is in no item, and its recognition is given up."""
    talk = conversation()
    frames(talk, *[SPEECH] * 5)

    assert told(talk.clear()) == ["Abandon", "cleared"]
    with pytest.raises(Rejected):
        talk.commit()


def test_no_words_wanted() -> None:
    """Without a transcription there are turns, but nothing is recognised or completed."""
    talk = conversation(words=False)
    actions = frames(talk, *[SPEECH] * 5, *[QUIET] * 5)

    assert told(actions) == ["speech_started", "speech_stopped", "committed", "item.added", "item.done", "TurnEnded"]


def test_rate_is_settled_by_the_first_audio() -> None:
    """The rate of audio that has been received cannot change."""
    talk = conversation()
    frames(talk, QUIET)

    with pytest.raises(Rejected) as refusal:
        talk.update({"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24_000}}}})
    assert refusal.value.param == "session.audio.input.format.rate"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.integers(1, 3 * FRAME), st.sampled_from([QUIET, SPEECH])),
        st.tuples(st.sampled_from(["commit", "clear", "manual", "vad"]), st.none(), st.none()),
    ),
    max_size=60,
)


@given(STEPS)
def test_any_schedule(steps: list[tuple[str, int | None, float | None]]) -> None:
    """Whatever is done in whatever order: items open before they are fed, end once, and never two at a time."""
    talk = conversation()
    open_items: set[str] = set()
    pending = 0
    for step, length, probability in steps:
        if length is None or probability is None:
            _follow(_command(talk, step), open_items)
        else:
            pending += length
            _follow(talk.hear(bytes(2 * length), [probability] * (pending // FRAME)), open_items)
            pending %= FRAME
        assert len(open_items) <= 1


def _command(talk: Conversation, step: str) -> list[Action]:
    if step == "commit":
        try:
            return talk.commit()
        except Rejected:
            return []
    if step == "clear":
        return talk.clear()
    detection = VAD if step == "vad" else None
    talk.update({"type": "transcription", "audio": {"input": {"turn_detection": detection}}})
    return []


def _follow(actions: list[Action], open_items: set[str]) -> None:
    for action in actions:
        match action:
            case Open(item_id):
                assert item_id not in open_items
                open_items.add(item_id)
            case Feed(item_id) | Pause(item_id):
                assert item_id in open_items
            case Finish(item_id) | Abandon(item_id):
                open_items.remove(item_id)
            case _:
                pass
