"""The wire of a conversation: our messages by the official package's types, the endpoint's by what they mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

from rt_cli.protocol.conversation.actions import (
    Action,
    CancelResponse,
    CreateCall,
    CreateCallOutput,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    TruncateItem,
)
from rt_cli.protocol.conversation.events import (
    AudioDelta,
    CallArguments,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    ReplyDelta,
    ReplyText,
    ResponseCreated,
    ResponseDone,
)
from rt_cli.protocol.dialects.dialect import ConversationWish
from rt_cli.protocol.openai.conversation import READERS, ConversationCodec
from rt_cli.protocol.openai.session import conversation_session
from rt_cli.protocol.openai.variants import QwenConversationCodec
from rt_cli.protocol.server_events import (
    ErrorEvent,
    Ignored,
    Malformed,
    ServerEvent,
    StreamEnded,
    TranscriptSnapshot,
)
from rt_cli.settings import SessionSettings

CODEC = ConversationCodec({})
CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)

ACTIONS: list[tuple[Action, str]] = [
    (CreateMessage("user", "hello"), "conversation.item.create"),
    (CreateMessage("assistant", "h\u00e9llo"), "conversation.item.create"),
    (CreateCall("call_1", "weather", "{}"), "conversation.item.create"),
    (CreateCallOutput("call_1", "rain"), "conversation.item.create"),
    (CreateResponse("rt_talk_1"), "response.create"),
    (CreateResponse("rt_talk_1", "say so"), "response.create"),
    (CancelResponse("resp_1"), "response.cancel"),
    (CancelResponse(None), "response.cancel"),
    (TruncateItem("item_1", 0, 1500), "conversation.item.truncate"),
    (DeleteItem("item_1"), "conversation.item.delete"),
]


@pytest.mark.parametrize(("action", "kind"), ACTIONS, ids=[f"{type(action).__name__} {n}" for n, (action, _) in
                                                          enumerate(ACTIONS)])  # fmt: skip
def test_what_is_said_is_an_event_of_the_protocol(action: Action, kind: str) -> None:
    """Valid by the official types, without a field that they do not know."""
    message = CODEC.action_message(action)

    event = CLIENT.validate_json(message)

    assert event.type == kind
    assert event.event_id.startswith("rt_talk_")
    known = event.model_dump(exclude_unset=True)
    assert json.loads(message) == json.loads(json.dumps(known))
    assert not event.model_extra


IDS = {"event_id": "e", "response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
ITEM = {"id": "i", "object": "realtime.item", "type": "message", "role": "assistant", "status": "completed"}
SAID = {**ITEM, "content": [{"type": "output_audio", "transcript": "one"}]}
CALL = {"id": "i", "type": "function_call", "call_id": "c", "name": "t", "arguments": "{}", "status": "completed"}
MESSAGE = OutputItem("i", "message", "assistant", "one")
CALLED = OutputItem("i", "function_call", call_id="c", name="t", arguments="{}")
RESPONSE = {"id": "r", "object": "realtime.response", "status": "in_progress", "output": []}
FAILED = {
    "status": "failed",
    "status_details": {"type": "failed", "error": {"type": "server_error", "code": "x", "message": "m"}},
}
EVENTS: list[tuple[dict[str, Any], ServerEvent]] = [
    ({"type": "response.created", "event_id": "e", "response": RESPONSE}, ResponseCreated("r")),
    (
        {"type": "response.done", "event_id": "e", "response": RESPONSE | {"status": "completed", "output": [SAID]}},
        ResponseDone("r", "completed", items=(MESSAGE,)),
    ),
    (
        {"type": "response.done", "event_id": "e", "response": RESPONSE | FAILED},
        ResponseDone("r", "failed", "", "x", "m"),
    ),
    (
        {"type": "response.output_item.added", "event_id": "e", "response_id": "r", "output_index": 0, "item": SAID},
        OutputItemAdded("r", MESSAGE),
    ),
    (
        {"type": "response.output_item.done", "event_id": "e", "response_id": "r", "output_index": 0, "item": CALL},
        OutputItemDone("r", CALLED),
    ),
    ({"type": "response.output_audio.delta", **IDS, "delta": "AQACAA=="}, AudioDelta("r", "i", 0, b"\1\0\2\0", "e")),
    ({"type": "response.output_audio_transcript.delta", **IDS, "delta": "on"}, ReplyDelta("r", "i", 0, "on", "e")),
    ({"type": "response.output_text.delta", **IDS, "delta": "on"}, ReplyDelta("r", "i", 0, "on", "e")),
    ({"type": "response.output_audio_transcript.done", **IDS, "transcript": "one"}, ReplyText("r", "i", 0, "one")),
    ({"type": "response.output_text.done", **IDS, "text": "one"}, ReplyText("r", "i", 0, "one")),
    (
        {
            "type": "response.function_call_arguments.done",
            **{name: IDS[name] for name in ("event_id", "response_id", "item_id", "output_index")},
            "call_id": "c",
            "name": "t",
            "arguments": "{}",
        },
        CallArguments("r", "i", "c", "t", "{}"),
    ),
    (
        {"type": "conversation.item.added", "event_id": "e", "previous_item_id": "p", "item": SAID},
        ItemAdded(MESSAGE, "p"),
    ),
    (
        {
            "type": "conversation.item.truncated",
            "event_id": "e",
            "item_id": "i",
            "content_index": 0,
            "audio_end_ms": 15,
        },
        ItemTruncated("i", 15),
    ),
    ({"type": "conversation.item.deleted", "event_id": "e", "item_id": "i"}, ItemDeleted("i")),
]


@pytest.mark.parametrize(("wire", "event"), EVENTS, ids=[wire["type"] for wire, _ in EVENTS])
def test_events_of_the_endpoint(wire: dict[str, Any], event: ServerEvent) -> None:
    """Each is an event by the official types, and means this."""
    assert SERVER.validate_python(wire).type == wire["type"]

    assert CODEC.decode(json.dumps(wire)) == (event,)


@pytest.mark.parametrize(
    ("wire", "event"),
    [
        pytest.param({"type": "response.audio.delta", "delta": "AQA="}, AudioDelta(pcm=b"\1\0"), id="beta audio"),
        pytest.param({"type": "response.text.delta", "delta": "x"}, ReplyDelta(delta="x"), id="beta text"),
        pytest.param(
            {"type": "response.audio_transcript.done", "transcript": "x"}, ReplyText(text="x"), id="beta done"
        ),
        pytest.param({"type": "conversation.item.created", "item": {"id": 7}}, ItemAdded(), id="beta item, odd id"),
        pytest.param({"type": "response.done"}, ResponseDone(), id="done without anything"),
        pytest.param({"type": "response.done", "response": {"output": "x"}}, ResponseDone(), id="odd output"),
        pytest.param({"type": "response.output_audio.delta", "delta": "AQAC"}, AudioDelta(pcm=b"\1\0"), id="odd bytes"),
        pytest.param(
            {"type": "response.output_audio.delta", "delta": "?"}, Malformed("audio that is not base64"), id="b"
        ),
        pytest.param({"type": "response.output_audio.delta"}, Malformed("audio of the wrong kind"), id="no audio"),
        pytest.param({"type": "response.content_part.added"}, Ignored("response.content_part.added"), id="not needed"),
    ],
)
def test_odd_events(wire: dict[str, Any], event: ServerEvent) -> None:
    """Beta names, and what compatible servers leave out or send otherwise."""
    assert CODEC.decode(json.dumps(wire)) == (event,)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "item", "delta", "response",
        "output", "content", "text", "status_details", "error", "item_id"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(sorted(READERS)), st.dictionaries(st.sampled_from(["response", "item", "delta", "item_id",
    "response_id", "content_index", "text", "transcript", "arguments"]), JSON))  # fmt: skip
def test_decoding_never_raises(kind: str, fields: dict[str, Any]) -> None:
    """Every message becomes one event."""
    (event,) = CODEC.decode(json.dumps({**fields, "type": kind}))

    assert not isinstance(event, ErrorEvent)


NESTED = conversation_session(SessionSettings(), ConversationWish("whisper-1"), "server_vad", 24_000)
GREETINGS = {"flat": {"id": "s", "modalities": ["text"], "turn_detection": None}, "nested": {"id": "s", "audio": {}}}


@pytest.mark.parametrize("detects", [True, False])
@pytest.mark.parametrize("shape", GREETINGS)
def test_the_shape_of_the_greeting(shape: str, detects: bool) -> None:  # noqa: FBT001 # a fact of the table above
    """An endpoint that is not known greets with the shape that it takes, also for what a reply has said."""
    codec = ConversationCodec(NESTED, detects=detects)
    codec.decode(json.dumps({"type": "session.created", "session": GREETINGS[shape]}))

    (update,) = codec.session_messages("rt_session")
    said = codec.action_message(CreateMessage("assistant", "x"))

    assert said is not None
    flat = detects and shape == "flat"
    assert ("input_audio_format" in json.loads(update)["session"]) == flat
    assert json.loads(said)["item"]["content"][0]["type"] == ("text" if flat else "output_text")


def test_what_the_endpoint_does_not_know_is_not_said() -> None:
    """By its type."""
    codec = ConversationCodec({}, lacks=frozenset({"conversation.item.truncate"}))

    assert codec.action_message(TruncateItem("i", 0, 5)) is None
    assert codec.action_message(DeleteItem("i")) is not None


def test_a_provider_reads_the_rest() -> None:
    """Qwen's interim words and its end, in a conversation; ids with every append."""
    codec = QwenConversationCodec({"modalities": ["text"]})
    kind = "conversation.item.input_audio_transcription.text"

    interim = codec.decode(json.dumps({"type": kind, "item_id": "i", "text": "a", "stash": "b"}))
    ended = codec.decode(json.dumps({"type": "session.finished"}))
    audio = codec.decode(json.dumps({"type": "response.audio.delta", "delta": "AQA="}))

    assert (interim, ended, audio) == (
        (TranscriptSnapshot("i", "ab"),),
        (StreamEnded(),),
        (AudioDelta(pcm=b"\1\0"),),
    )
    assert b'"event_id":"rt_audio_1"' in codec.audio_messages(b"\0\0", 100)[0]
