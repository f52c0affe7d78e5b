"""Client events in any order: the session answers, and its responses are correct."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from rt_cli.server.access.limits import Limits
from rt_cli.server.replies.interface import ReplyFailed, Text
from rt_cli.server.server import serve
from rt_cli.server.session.conversation.items import Item
from rt_cli.server.session.input import transcription as transcription_module
from rt_cli.server.session.session import ServerSession
from tests.fakes import run
from tests.memory import held_bytes, held_count
from tests.server.client import COMMITTED, TRANSCRIBE, noise, recording, session, silence
from tests.server.scripted import CALL, SPOKEN, Scripted, ScriptedSession
from tests.server.transcription_server import Upload, transcription_server
from tests.server.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MANUAL = {"input": {"turn_detection": None}}
NAMES = st.sampled_from(["a", "b", "root", "newest", "nobody", "", 7, None])
"""``newest`` becomes the id of the newest item or response."""
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PART = st.sampled_from(
    [
        {"type": "input_text", "text": "hello"},
        {"type": "output_text", "text": "hello"},
        {"type": "input_audio", "audio": base64.b64encode(bytes(480)).decode()},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
    ]
)
ITEM = st.one_of(
    JUNK,
    st.fixed_dictionaries(
        {
            "type": st.just("message"),
            "role": st.sampled_from(["user", "assistant", "system"]),
            "content": st.lists(PART, max_size=2),
        },
        optional={"id": NAMES},
    ),
    st.just({"type": "function_call_output", "call_id": "call_1", "output": "rain"}),
    st.just({"type": "item_reference", "id": "a"}),
)
RESPONSE = st.one_of(
    JUNK,
    st.fixed_dictionaries(
        {},
        optional={
            "conversation": st.sampled_from(["auto", "none", "other"]),
            "output_modalities": st.sampled_from([["audio"], ["text"], []]),
            "max_output_tokens": st.sampled_from([1, 7, "inf", 0]),
            "input": st.lists(ITEM, max_size=2),
            "metadata": st.just({"a": "b"}),
            "audio": st.just({"output": {"voice": "marin"}}),
        },
    ),
)
VAD = {"type": "server_vad", "silence_duration_ms": 0}
SESSION = st.one_of(
    JUNK,
    st.builds(
        lambda kind, detection: {"type": kind, "audio": {"input": {"turn_detection": detection}}},
        st.sampled_from(["realtime", "transcription"]),
        st.sampled_from([None, VAD, {"type": "semantic_vad"}]),
    ),
)
SOUND = base64.b64encode(noise(0.2)).decode()


def client_event(type_: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A client event with some of its fields."""
    return st.fixed_dictionaries({"type": st.just(type_)}, optional=fields)


EVENTS = st.lists(
    st.one_of(
        client_event("session.update", session=SESSION),
        client_event("input_audio_buffer.append", audio=st.one_of(st.just(SOUND), JUNK)),
        client_event("input_audio_buffer.commit"),
        client_event("input_audio_buffer.clear"),
        client_event("output_audio_buffer.clear"),
        client_event("conversation.item.create", item=ITEM, previous_item_id=NAMES),
        client_event("conversation.item.retrieve", item_id=NAMES),
        client_event(
            "conversation.item.truncate",
            item_id=NAMES,
            content_index=st.one_of(st.just(0), JUNK),
            audio_end_ms=st.one_of(st.integers(0, 500), JUNK),
        ),
        client_event("conversation.item.delete", item_id=NAMES),
        client_event("response.create", response=RESPONSE),
        client_event("response.create"),
        client_event("response.cancel"),
        client_event("response.cancel", response_id=NAMES),
        st.just({"type": "wait for the reply"}),
        st.just({"type": "wait a moment"}),
        JUNK,
    ),
    max_size=15,
)


async def played(
    script: list[Any], replier: Scripted, recognizer_session: ScriptedSession | None = None
) -> list[dict[str, Any]]:
    """The events that a session sends."""
    wire = Wire(script)
    session = ServerSession(
        "realtime", recognizer_session or ScriptedSession("yes"), wire.send, lambda _: None, None, replier=replier
    )
    await session.run(wire.messages())
    return wire.events


@settings(max_examples=60)
@given(EVENTS, st.sampled_from(["words", "sound", "call", "failure"]), st.booleans())
def test_any_events_at_any_time(script: list[Any], kind: str, needs_words: bool) -> None:  # noqa: FBT001 - hypothesis
    """No exception; each response ends once, with no later event; the conversation has one response at a time."""
    scripts: dict[str, list[Any]] = {
        "words": [Text("Good "), Text("day.")],
        "sound": list(SPOKEN),
        "call": [Text("Wait."), CALL],
        "failure": [Text("I "), ReplyFailed("gone")],
    }
    events = run(played(script, Scripted(*scripts[kind], needs_words=needs_words)))

    active: set[str] = set()
    over: set[str] = set()
    beside: set[str] = set()
    for event in events:
        if event["type"] == "response.created":
            response = event["response"]
            assert response["id"] not in active | over
            active.add(response["id"])
            if response["conversation_id"] is None:
                beside.add(response["id"])
            assert len(active - beside) <= 1
        elif event["type"] == "response.done":
            active.remove(event["response"]["id"])
            over.add(event["response"]["id"])
        elif event["type"].startswith("response."):
            assert event["response_id"] in active
    assert not active
    added = [event["item"]["id"] for event in events if event["type"] == "conversation.item.added"]
    deleted = sum(event["type"] == "conversation.item.deleted" for event in events)
    assert len(added) - len(set(added)) <= deleted
    assert len({event["event_id"] for event in events}) == len(events)


VAD_TURN = {"type": "server_vad", "silence_duration_ms": 300}
SPEECH = base64.b64encode(silence(0.5) + recording("sense_0930") + silence(0.7)).decode()


async def words_of_a_turn(
    recognizer_session: ScriptedSession, transcription: dict[str, Any] | None, modality: str, *, needs_words: bool
) -> tuple[list[dict[str, Any]], Any]:
    """The events of a turn, and the transcript that the replier gets."""
    audio = {"input": {"turn_detection": VAD_TURN, "transcription": transcription}}
    update = {"type": "realtime", "output_modalities": [modality], "audio": audio}
    replier = Scripted(Text("I see."), needs_words=needs_words)
    script = [
        {"type": "session.update", "session": update},
        {"type": "input_audio_buffer.append", "audio": SPEECH},
        {"type": "wait for the reply"},
        {"type": "conversation.item.retrieve", "item_id": "newest"},
    ]
    events = await played(script, replier, recognizer_session)
    assert all(event["type"] != "error" for event in events)
    return events, replier.requests[0].items[0]["content"][0]["transcript"]


@pytest.mark.parametrize(
    ("modality", "needs_words", "known"),
    [("audio", True, "good day"), ("text", False, "good day"), ("audio", False, None)],
)
def test_words_for_the_reply_alone(modality: str, needs_words: bool, known: str | None) -> None:  # noqa: FBT001
    """A reply that needs words waits for them; a client without transcription gets none."""
    events, words = run(words_of_a_turn(ScriptedSession("good day"), None, modality, needs_words=needs_words))
    assert words == known
    assert not [event for event in events if "transcription" in event["type"]]


def test_words_for_both() -> None:
    """With transcription the client gets the words, and the recogniser gets the client's hints."""
    recognizer_session = ScriptedSession("good day")
    transcription = {"model": "any", "language": "en", "prompt": "A greeting.", "keywords": ["day"]}
    events, words = run(words_of_a_turn(recognizer_session, transcription, "audio", needs_words=True))
    assert words == "good day"
    assert [event["transcript"] for event in events if event["type"].endswith("transcription.completed")] == [
        "good day"
    ]
    assert (recognizer_session.hints[0].language, recognizer_session.hints[0].prompt) == ("en", "A greeting. day")


def test_words_that_fail() -> None:
    """A turn whose recognition fails gets a response without words."""
    events, words = run(words_of_a_turn(ScriptedSession("", "broken"), None, "audio", needs_words=True))
    assert words is None
    assert [event["response"]["status"] for event in events if event["type"] == "response.done"] == ["completed"]


def test_closed_session_waits_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a disconnect the session waits a limited time for words."""
    monkeypatch.setattr(transcription_module, "CLOSE_S", 0.1)

    async def gets_in(url: str) -> bool:
        with suppress(ConnectionClosed):
            async with session(url):
                return True
        return False

    async def never(_upload: Upload) -> None:
        await asyncio.Event().wait()

    async def scenario() -> None:
        async with (
            transcription_server(never) as recognizer,
            serve(recognizer=f"http:{recognizer.url}", limits=Limits(sessions=1)) as server,
        ):
            async with session(server.url) as client:
                await client.configure(transcription=TRANSCRIBE, turn_detection=None)
                await client.append(recording("sense_0930"))
                await client.send("input_audio_buffer.commit")
                await client.until(COMMITTED)
            while not await gets_in(server.url):
                pass

    run(scenario())


def test_the_end_of_a_session_frees_its_sound() -> None:
    """The audio, up to 100 MB, is freed at once, not by the garbage collector."""
    wire = Wire([])

    async def messages() -> AsyncIterator[str]:
        yield json.dumps({"type": "session.update", "session": {"type": "realtime", "audio": MANUAL}})
        for type_ in ("input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.append"):
            yield json.dumps({"type": type_, "audio": base64.b64encode(noise(1)).decode()})

    async def scenario() -> ServerSession:
        session = ServerSession("realtime", ScriptedSession("words"), wire.send, lambda _: None, None)
        await session.run(messages())
        return session

    session = run(scenario())
    assert "input_audio_buffer.committed" in [event["type"] for event in wire.events]
    assert held_count(session, Item) == 0
    assert held_bytes(session) < 1000
