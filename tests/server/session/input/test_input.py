"""The input side: audio and commands in, actions out; no model, no socket."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rt_cli.server.session.config import SEMANTIC_VAD, SessionConfig, SessionType
from rt_cli.server.session.input import input as module
from rt_cli.server.session.input.input import (
    AbandonItem,
    Action,
    AudioInput,
    FeedItem,
    FinishItem,
    InterruptReply,
    OpenItem,
    PauseItem,
    Respond,
    SendEvent,
    TurnEnded,
)
from rt_cli.server.session.wire import Rejected

RATE = 16_000
FRAME = 512
QUIET, SPEECH = 0.0, 1.0
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 64, "silence_duration_ms": 96}


def audio_input(
    turn_detection: dict[str, Any] | None = VAD,
    *,
    type_: SessionType = "transcription",
    words: bool = True,
    **options: Any,
) -> AudioInput:
    """An input side at 16 kHz whose items have the ids a, b, c, ..."""
    names = itertools.count()
    config = SessionConfig(type_, RATE, {"model": "any"} if words else None, turn_detection=turn_detection)
    talk = AudioInput(config, lambda: chr(ord("a") + next(names) % 26), **options)
    talk.start(FRAME)
    return talk


def frames(talk: AudioInput, *probabilities: float) -> list[Action]:
    """Append a frame for each probability; all samples of a frame have the frame's number."""
    actions: list[Action] = []
    for probability in probabilities:
        number = talk.received // FRAME
        actions += talk.append(number.to_bytes(2, "little") * FRAME, [probability])
    return actions


def names_in(actions: list[Action]) -> list[str]:
    """The short names of what happened."""
    return [
        action.event["type"].split(".", 1)[-1] if isinstance(action, SendEvent) else type(action).__name__
        for action in actions
    ]


def fed_frames(actions: list[Action]) -> list[int]:
    """The numbers of the frames that went to the recogniser."""
    pcm = b"".join(action.pcm for action in actions if isinstance(action, FeedItem))
    return [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), 2 * FRAME)]


def test_a_turn_of_server_vad() -> None:
    """Speech creates an item with OpenAI's order of events; exactly its audio is recognised."""
    talk = audio_input()
    actions = frames(talk, *[QUIET] * 10, *[SPEECH] * 5, *[QUIET] * 5)

    assert [name for name in names_in(actions) if name not in {"FeedItem", "TurnEnded"}] == [
        *("speech_started", "OpenItem", "speech_stopped", "committed", "item.added", "item.done", "FinishItem")
    ]
    assert list(range(8, 18)) == fed_frames(actions)


def test_offsets_count_from_the_start_of_all_audio() -> None:
    """The start includes the prefix padding, the end includes the silence."""
    talk = audio_input()
    events = [a.event for a in frames(talk, *[QUIET] * 10, *[SPEECH] * 5, *[QUIET] * 5) if isinstance(a, SendEvent)]

    assert events[0]["audio_start_ms"] == (10 - 2) * 32
    assert events[1]["audio_end_ms"] == (15 + 3) * 32


def test_previous_item() -> None:
    """Each item has the id of the item before; the first has none."""
    talk = audio_input()
    actions = frames(talk, *[SPEECH, SPEECH, *[QUIET] * 4] * 3)

    chain = [a.event for a in actions if isinstance(a, SendEvent) and a.event["type"] == "input_audio_buffer.committed"]
    assert [(e["previous_item_id"], e["item_id"]) for e in chain] == [(None, "a"), ("a", "b"), ("b", "c")]


def test_commit_during_speech() -> None:
    """A commit closes the item without speech_stopped; further speech starts the next item."""
    talk = audio_input()
    frames(talk, *[SPEECH] * 5)
    committed = talk.commit()
    later = frames(talk, *[SPEECH] * 2)

    assert names_in(committed) == ["committed", "item.added", "item.done", "FinishItem", "TurnEnded"]
    assert names_in(later)[:2] == ["speech_started", "OpenItem"]


def test_commit_without_speech() -> None:
    """A commit without speech is an item with empty text, without recognition."""
    talk = audio_input(None)
    frames(talk, *[QUIET] * 10)

    assert [name.removeprefix("item.input_audio_transcription.") for name in names_in(talk.commit())] == [
        "committed",
        "item.added",
        "item.done",
        "completed",
        "TurnEnded",
    ]


@pytest.mark.parametrize("received", [0, 3])
def test_commit_of_too_little(received: int) -> None:
    """A commit of less than 100 ms is rejected."""
    talk = audio_input(None)
    frames(talk, *[SPEECH] * received)

    with pytest.raises(Rejected) as refusal:
        talk.commit()
    assert refusal.value.code == "input_audio_buffer_commit_empty"


def test_manual_item() -> None:
    """Without turn detection no speech events are sent, only speech is recognised, and pauses do not end the item."""
    talk = audio_input(None)
    silence = [QUIET] * 40
    actions = frames(talk, *silence, *[SPEECH] * 5, *silence, *[SPEECH] * 5)
    actions += talk.commit()

    assert [name for name in names_in(actions) if name not in {"FeedItem", "TurnEnded"}] == [
        *("OpenItem", "PauseItem", "committed", "item.added", "item.done", "FinishItem")
    ]
    assert len(fed_frames(actions)) < 2 * (5 + 10 + 17)


def test_usage_counts_the_whole_item() -> None:
    """The usage of a manual item counts all of its audio."""
    talk = audio_input(None)
    frames(talk, *[QUIET] * 40, *[SPEECH] * 10)

    finish = next(action for action in talk.commit() if isinstance(action, FinishItem))
    assert finish.seconds == 50 * FRAME / RATE


def test_clear() -> None:
    """Cleared audio is in no item, and its recognition is abandoned."""
    talk = audio_input()
    frames(talk, *[SPEECH] * 5)

    assert names_in(talk.clear()) == ["AbandonItem", "cleared"]
    with pytest.raises(Rejected):
        talk.commit()


def test_without_transcription() -> None:
    """Without transcription there are turns, but no recognition and no transcript."""
    talk = audio_input(words=False)
    actions = frames(talk, *[SPEECH] * 5, *[QUIET] * 5)

    assert names_in(actions) == [
        "speech_started",
        "speech_stopped",
        "committed",
        "item.added",
        "item.done",
        "TurnEnded",
    ]


def test_rate_is_fixed_by_the_first_audio() -> None:
    """After the first audio the rate cannot change."""
    talk = audio_input()
    frames(talk, QUIET)

    with pytest.raises(Rejected) as refusal:
        talk.update({"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24_000}}}})
    assert refusal.value.param == "session.audio.input.format.rate"


TURN = (*[SPEECH] * 5, *[QUIET] * 5)


def detect(talk: AudioInput, **fields: Any) -> None:
    """Update the turn detection of a conversation."""
    talk.update({"type": "realtime", "audio": {"input": {"turn_detection": fields}}})


def names_of(actions: list[Action], *types: type[Action]) -> list[str]:
    """The items of all actions of these types."""
    return [getattr(action, "item_id", "") for action in actions if isinstance(action, types)]


def test_a_turn_of_a_conversation_is_answered() -> None:
    """The interruption follows speech_started; the response follows the complete turn."""
    actions = frames(audio_input(type_="realtime"), *TURN)

    names = [name for name in names_in(actions) if name != "FeedItem"]
    assert names[:3] == ["speech_started", "InterruptReply", "OpenItem"]
    assert names[-3:] == ["FinishItem", "TurnEnded", "Respond"]
    assert names_of(actions, Respond) == ["a"]


def test_answers_are_off_where_the_client_says_so() -> None:
    """Each switch works alone; both are off in a transcription and without turn detection."""
    talk = audio_input(type_="realtime")
    detect(talk, create_response=False)
    assert [type(a) for a in frames(talk, *TURN) if isinstance(a, Respond | InterruptReply)] == [InterruptReply]
    detect(talk, create_response=True, interrupt_response=False)
    assert [type(a) for a in frames(talk, *TURN) if isinstance(a, Respond | InterruptReply)] == [Respond]
    for other in (audio_input(), audio_input(None, type_="realtime")):
        assert not names_of([*frames(other, *TURN), *other_commit(other)], Respond, InterruptReply)


def other_commit(talk: AudioInput) -> list[Action]:
    """The actions of a commit; none if it is rejected."""
    try:
        return talk.commit()
    except Rejected:
        return []


def test_commit_during_speech_is_not_answered() -> None:
    """A client that commits creates the response itself."""
    talk = audio_input(type_="realtime")
    frames(talk, *[SPEECH] * 5)

    assert not names_of(talk.commit(), Respond)


def test_previous_item_of_the_conversation() -> None:
    """The conversation may add items; two turns in one append follow each other."""
    talk = audio_input(last_item=lambda: "other")
    actions = frames(talk, *TURN)
    both = talk.append(bytes(2 * FRAME * len(TURN) * 2), [*TURN, *TURN])

    chain = [
        (action.event["previous_item_id"], action.event["item_id"])
        for action in [*actions, *both]
        if isinstance(action, SendEvent) and action.event["type"] == "input_audio_buffer.committed"
    ]
    assert chain == [("other", "a"), ("other", "b"), ("b", "c")]


def test_the_audio_of_an_item() -> None:
    """A turn has its own audio with prefix and final silence; a commit has all uncommitted audio."""
    talk = audio_input()
    turn = next(a for a in frames(talk, *[QUIET] * 10, *TURN) if isinstance(a, TurnEnded))
    frames(talk, *[QUIET] * 5)
    rest = next(a for a in talk.commit() if isinstance(a, TurnEnded))

    assert numbers(turn.pcm) == list(range(8, 18))
    assert numbers(rest.pcm) == list(range(18, 25))


def numbers(pcm: bytes) -> list[int]:
    """The numbers of the frames in some audio."""
    return [int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), 2 * FRAME)]


def test_words_for_the_replier() -> None:
    """A replier that needs words gets them without transcription for the client."""
    talk = audio_input(type_="realtime", words=False)
    talk.needs_words = True
    actions = frames(talk, *TURN)

    assert names_of(actions, OpenItem, FinishItem) == ["a", "a"]
    assert not any("transcription" in name for name in names_in(actions))


@pytest.mark.parametrize(
    ("eagerness", "silent_ms"), [("low", 2_000), ("medium", 1_000), ("auto", 1_000), ("high", 500)]
)
def test_semantic_vad_without_words(eagerness: str, silent_ms: int) -> None:
    """Without words a quarter of the longest silence ends a turn."""
    talk = audio_input({**SEMANTIC_VAD, "eagerness": eagerness}, type_="realtime", words=False)
    silent = -(-silent_ms // 32)

    assert names_of(frames(talk, *[SPEECH] * 5, *[QUIET] * (silent - 1)), TurnEnded) == []
    assert names_in(frames(talk, QUIET))[0] == "speech_stopped"


@pytest.mark.parametrize(
    ("words", "silent_ms"), [("Is it done?", 500), ("it is done", 1_000), ("it is done and", 4_000)]
)
def test_semantic_vad_with_words(words: str, silent_ms: int) -> None:
    """Only the words of the current item count, and speech restarts the silence."""
    talk = audio_input(dict(SEMANTIC_VAD), type_="realtime")
    silent = -(-silent_ms // 32)
    frames(talk, *[SPEECH] * 5)
    talk.set_words("a", words)
    talk.set_words("z", "of another item and")

    assert names_of(frames(talk, *[QUIET] * 8, SPEECH, *[QUIET] * (silent - 1)), TurnEnded) == []
    assert names_of(frames(talk, QUIET), TurnEnded) == ["a"]
    frames(talk, *[SPEECH] * 5)
    assert names_of(frames(talk, *[QUIET] * 31), TurnEnded) == [], "the words of the turn before are forgotten"
    assert names_of(frames(talk, QUIET), TurnEnded) == ["b"]


def test_semantic_vad_after_a_commit() -> None:
    """A commit during speech ends that turn only."""
    talk = audio_input(dict(SEMANTIC_VAD), type_="realtime")
    frames(talk, *[SPEECH] * 5)
    talk.commit()

    assert not names_of(frames(talk, *[QUIET] * 400), TurnEnded)
    assert names_in(frames(talk, *[SPEECH] * 2))[0] == "speech_started"


IDLE = {**VAD, "idle_timeout_ms": 6_000}
TOO_LONG = 188
"""Frames in six seconds, rounded up."""


def test_idle_timeout() -> None:
    """Silence after the playback of a reply: timeout_triggered, a commit and a response, once."""
    talk = audio_input(IDLE, type_="realtime")
    frames(talk, *[QUIET] * 2 * TOO_LONG)
    talk.on_reply_end(playback_s=0.32)

    assert frames(talk, *[QUIET] * (TOO_LONG + 9)) == []
    actions = frames(talk, QUIET)
    assert [name.removeprefix("item.input_audio_transcription.") for name in names_in(actions)] == [
        *("timeout_triggered", "committed", "item.added", "item.done", "completed", "TurnEnded", "Respond")
    ]
    assert isinstance(actions[0], SendEvent)
    start_ms = (2 * TOO_LONG + 10) * 32
    assert actions[0].event["audio_start_ms"] == start_ms
    assert actions[0].event["audio_end_ms"] == start_ms + 6_000
    ended = next(action for action in actions if isinstance(action, TurnEnded))
    assert len(ended.pcm) == 2 * 6 * RATE
    assert frames(talk, *[QUIET] * 2 * TOO_LONG) == []


@pytest.mark.parametrize("answer", ["speech", "reply", "commit", "off", "nothing said"])
def test_no_idle_timeout(answer: str) -> None:
    """Not after speech, a response or a commit, and not without a timeout or a reply."""
    talk = audio_input(IDLE, type_="realtime")
    frames(talk, *[QUIET] * 10)
    if answer != "nothing said":
        talk.on_reply_end()
    match answer:
        case "speech":
            frames(talk, *TURN)
        case "reply":
            talk.on_reply_begin()
        case "commit":
            talk.commit()
        case "off":
            detect(talk, idle_timeout_ms=None)
    assert not names_of(frames(talk, *[QUIET] * 2 * TOO_LONG), Respond)


def test_clear_restarts_the_idle_timeout() -> None:
    """Cleared silence is not committed."""
    talk = audio_input(IDLE, type_="realtime")
    frames(talk, *[QUIET] * 10)
    talk.on_reply_end()
    frames(talk, *[QUIET] * (TOO_LONG - 1))
    talk.clear()

    assert frames(talk, *[QUIET] * (TOO_LONG - 1)) == []
    assert names_of(frames(talk, QUIET), Respond)


def test_a_full_buffer_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """An append that does not fit is rejected as a whole; after a commit there is space."""
    monkeypatch.setattr(module, "MAX_BUFFERED_S", 1)
    talk = audio_input(None)
    frames(talk, *[SPEECH] * 31)
    talk.check_room(RATE - 31 * FRAME)
    with pytest.raises(Rejected) as refusal:
        talk.check_room(RATE - 31 * FRAME + 1)
    assert refusal.value.code == "input_audio_buffer_full"
    talk.commit()
    talk.check_room(RATE)


def test_a_turn_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """With turn detection no append is rejected: a turn that is too long is committed, and the next one starts."""
    monkeypatch.setattr(module, "MAX_BUFFERED_S", 1)
    talk = audio_input(type_="realtime")
    talk.check_room(100 * RATE)
    actions = frames(talk, *[SPEECH] * 70)

    assert [name for name in names_in(actions) if name.startswith("speech")] == [
        *("speech_started", "speech_stopped") * 2,
        "speech_started",
    ]
    assert not names_of(actions, Respond), "nobody has finished"
    assert fed_frames(actions) == list(range(70))


def test_silence_does_not_pile_up() -> None:
    """With turn detection old silence is discarded; a commit has the rest."""
    talk = audio_input()
    frames(talk, *[QUIET] * 2_000)

    ended = next(action for action in talk.commit() if isinstance(action, TurnEnded))
    assert len(ended.pcm) == 2 * RATE * 32


def test_a_turn_goes_on_through_an_update() -> None:
    """A new turn detection applies to the current turn, and no event is sent twice."""
    talk = audio_input(type_="realtime")
    first = frames(talk, *[SPEECH] * 5)
    detect(talk, type="semantic_vad", eagerness="high")
    actions = frames(talk, *[QUIET] * 15)
    assert names_in(first)[0] == "speech_started"
    assert names_in(actions) == ["FeedItem"] * 15
    assert names_in(frames(talk, QUIET))[:2] == ["FeedItem", "speech_stopped"]


class Observer:
    """Checks the actions of an input side step by step. The value of each sample is its position.

    The history of an item is a string: O OpenItem, < speech_started, > speech_stopped, T timeout_triggered,
    c committed, a item.added, d item.done, w completed without words, F FinishItem, E TurnEnded, R Respond,
    A AbandonItem.
    """

    def __init__(self, *, needs_words: bool) -> None:
        names = itertools.count()
        config = SessionConfig("realtime", 8_000, {"model": "any"}, turn_detection=VAD)
        self.talk = AudioInput(config, lambda: f"item {next(names)}")
        self.talk.needs_words = needs_words
        self.talk.start(SHORT)
        self.stories: dict[str, str] = {}
        self.fed_frames: dict[str, tuple[int, int]] = {}
        self.fed_to = self.ended_at = 0
        self.previous: str | None = None

    def append(self, length: int, probability: float) -> None:
        """Append this number of samples with this speech probability."""
        start = self.talk.received
        whole = (start + length) // SHORT - start // SHORT
        self.follow(self.talk.append(positions(start, start + length), [probability] * whole))

    def follow(self, actions: list[Action]) -> None:
        """Process actions in order."""
        for action in actions:
            match action:
                case SendEvent(event):
                    self.check_event(event)
                case FeedItem(item_id, pcm):
                    self.feed(item_id, pcm)
                case TurnEnded(item_id, start_ms, end_ms, pcm):
                    self.mark(item_id, "E")
                    self.ended(item_id, (start_ms, end_ms), pcm)
                case OpenItem(item_id) | FinishItem(item_id) | AbandonItem(item_id) | Respond(item_id):
                    self.mark(item_id, type(action).__name__[0])
                case PauseItem(item_id):
                    assert self.goes_on(item_id)
                case InterruptReply():
                    pass

    def check_event(self, event: dict[str, Any]) -> None:
        """Each item follows the item of the commit before."""
        if event["type"] == "input_audio_buffer.cleared":
            return
        item_id = event["item_id"] if "item_id" in event else event["item"]["id"]
        self.mark(item_id, MARKS[event["type"]])
        if event["type"] == "input_audio_buffer.committed":
            assert event["previous_item_id"] == self.previous
            self.previous = item_id

    def mark(self, item_id: str, letter: str) -> None:
        """Add an event to the history of an item."""
        self.stories[item_id] = self.stories.get(item_id, "") + letter

    def goes_on(self, item_id: str) -> bool:
        """The item is in recognition."""
        story = self.stories[item_id]
        return "O" in story and not set("FA") & set(story)

    def feed(self, item_id: str, pcm: bytes) -> None:
        """No sample is recognised twice."""
        assert self.goes_on(item_id)
        start, end = range_of(pcm)
        assert start >= self.fed_to
        self.fed_to = end
        self.fed_frames[item_id] = (min(start, self.fed_frames.get(item_id, (start, end))[0]), end)

    def ended(self, item_id: str, ms: tuple[int, int], pcm: bytes) -> None:
        """The audio of an item follows the audio of the item before; recognised audio lies within it."""
        start, end = range_of(pcm)
        assert self.ended_at <= start < end <= self.talk.received
        assert end - start >= 3 * SHORT, "a turn is two frames of speech and one of silence, a commit 100 ms"
        assert ms == (start // 8, end // 8)
        self.ended_at = end
        first, last = self.fed_frames.get(item_id, (start, end))
        assert start <= first <= last <= end

    def check(self) -> None:
        """Every history is possible at OpenAI."""
        for story in self.stories.values():
            assert STORY.fullmatch(story), story
            assert ("O" in story) or not set("FA") & set(story), story
            assert ("F" in story) == ("O" in story and "c" in story), story
            assert ("<" in story) or (">" not in story), story
            assert ("R" not in story) or set(">T") & set(story), story
        assert sum(self.goes_on(item_id) for item_id in self.stories) <= 1


def positions(start: int, end: int) -> bytes:
    """Samples whose value is their position."""
    return np.arange(start, end).astype("<u2").tobytes()


def range_of(pcm: bytes) -> tuple[int, int]:
    """First and last position of such samples, which are contiguous."""
    start = int.from_bytes(pcm[:2], "little")
    end = start + len(pcm) // 2
    assert pcm == positions(start, end)
    return start, end


MARKS = {
    "input_audio_buffer.speech_started": "<",
    "input_audio_buffer.speech_stopped": ">",
    "input_audio_buffer.timeout_triggered": "T",
    "input_audio_buffer.committed": "c",
    "conversation.item.added": "a",
    "conversation.item.done": "d",
    "conversation.item.input_audio_transcription.completed": "w",
}
STORY = re.compile("(T|<?O?|O<)>?(cad[Fw]?ER?|A)?")
DETECTIONS = {
    "off": None,
    "vad": {"type": "server_vad", "prefix_padding_ms": 64, "silence_duration_ms": 96},
    "late": {"type": "server_vad", "prefix_padding_ms": 0, "silence_duration_ms": 400, "threshold": 1.0},
    "idle": {"type": "server_vad", "idle_timeout_ms": 5_000},
    "semantic": {"type": "semantic_vad", "eagerness": "high"},
    "silent": {"create_response": False},
}
COMMANDS = ["commit", "clear", "words on", "words off", "reply began", "reply ended", "words", *DETECTIONS]
SHORT = 256
"""A frame at 8 kHz."""
SOUNDS = st.tuples(
    st.integers(1, 8 * SHORT) | st.sampled_from([SHORT, 3 * SHORT, 14_000, 42_000]), st.sampled_from([QUIET, SPEECH])
)
STEPS = st.lists(SOUNDS | st.sampled_from(COMMANDS), max_size=40)


@settings(max_examples=400)
@given(STEPS, st.booleans())
@example(["off", (868, SPEECH), "vad", (768, SPEECH), "commit"], False)
@example(["idle", (768, SPEECH), "reply ended", (42_000, SPEECH)], False)
@example([(3_072, QUIET), "late", (600, SPEECH), "commit"], False)
@example(["off", (768, SPEECH), "vad", (3_000, QUIET)], False)
@example([(2_000, SPEECH), "commit", (2_000, SPEECH), "semantic", (20_000, QUIET), (4_000, SPEECH), "off", "vad"], True)
@example(["idle", "reply ended", *[(6_000, QUIET)] * 8, (3_000, SPEECH), (6_000, QUIET)], False)
def test_any_schedule(steps: list[tuple[int, float] | str], needs_words: bool) -> None:  # noqa: FBT001 - hypothesis
    """Any commands in any order: no sample is in two items, and items and events are in order."""
    observer = Observer(needs_words=needs_words)
    for step in steps:
        if isinstance(step, str):
            observer.follow(command(observer.talk, step))
        elif observer.talk.received + step[0] < 1 << 16:
            observer.append(*step)
        observer.check()


def command(talk: AudioInput, name: str) -> list[Action]:
    """Execute a command."""
    match name:
        case "commit":
            return other_commit(talk)
        case "clear":
            return talk.clear()
        case "reply began":
            talk.on_reply_begin()
        case "reply ended":
            talk.on_reply_end()
        case "words":
            talk.set_words(f"item {talk.turns}", "done.")
        case "words on" | "words off":
            words = {"model": "any"} if name == "words on" else None
            talk.update({"type": "realtime", "audio": {"input": {"transcription": words}}})
        case _:
            talk.update({"type": "realtime", "audio": {"input": {"turn_detection": DETECTIONS[name]}}})
    return []
