"""Items and responses over a real WebSocket, with a scripted replier."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.audio import g711
from rt_cli.server.access.limits import Limits
from rt_cli.server.replies.echo import Echo
from rt_cli.server.replies.interface import Part, ReplyFailed, ReplyRequest, Text, Usage
from tests.fakes import run
from tests.server.client import COMPLETED, Client, endpoint, recording, silence
from tests.server.scripted import CALL, PIECE, SPOKEN, Scripted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ITEM_EVENTS = ("conversation.item.added", "conversation.item.done")
SPOKEN_ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
WRITTEN_ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


async def respond(client: Client, **response: Any) -> list[dict[str, Any]]:
    """All events of one response."""
    before = len(client.seen)
    await client.send("response.create", response=response)
    await client.until("rate_limits.updated", "error")
    return client.seen[before:]


async def written(client: Client, *, event_id: str = "mine", **item: Any) -> dict[str, Any]:
    """The answer to the creation of an item."""
    return await client.answer("conversation.item.create", item=item, event_id=event_id)


def audio_of(events: list[dict[str, Any]]) -> bytes:
    """The audio of a response."""
    deltas = (event["delta"] for event in events if event["type"] == "response.output_audio.delta")
    return b"".join(map(base64.b64decode, deltas))


@pytest.mark.parametrize(("modality", "order"), [("audio", SPOKEN_ORDER), ("text", WRITTEN_ORDER)])
def test_order_of_a_response(modality: str, order: list[str]) -> None:
    """The events have the order of a recorded session of OpenAI."""

    async def scenario() -> list[dict[str, Any]]:
        async with endpoint("", replier=Scripted(*SPOKEN)) as client:
            await client.converse(output_modalities=[modality])
            await client.say("Hello.")
            return await respond(client, metadata={"topic": "greeting"})

    events = run(scenario())
    assert [event["type"] for event in events] == order
    done = events[-2]["response"]
    assert (done["status"], done["metadata"]) == ("completed", {"topic": "greeting"})
    assert done["conversation_id"].startswith("conv_")
    part = done["output"][0]["content"][0]
    assert (part.get("transcript") or part.get("text")) == "Good day."
    usage = done["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_token_details"] == {"text_tokens": 3, "audio_tokens": 8 if modality == "audio" else 0}
    assert audio_of(events) == (PIECE.pcm * 2 if modality == "audio" else b"")


def test_later_items_belong_to_the_next_response() -> None:
    """The context is fixed at response.created, which comes before the answers to later client events."""

    async def scenario() -> tuple[list[str], Scripted]:
        replier = Scripted(Text("Good day."))
        async with endpoint("", replier=replier) as client:
            await client.converse(output_modalities=["text"])
            await client.say("first")
            before = len(client.seen)
            await client.send("response.create")
            later = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "later"}]}
            await client.send("conversation.item.create", item=later)
            await client.until("rate_limits.updated")
            return [event["type"] for event in client.seen[before:]], replier

    events, replier = run(scenario())
    assert events[0] == "response.created"
    assert ITEM_EVENTS[0] in events
    assert [item["content"][0]["text"] for item in replier.requests[0].items] == ["first"]


def test_root_is_no_item_id() -> None:
    """An item must not have the id ``root``."""

    async def scenario() -> dict[str, Any]:
        async with endpoint("") as client:
            await client.converse()
            content = [{"type": "input_text", "text": "mine"}]
            return await written(client, type="message", role="user", id="root", content=content)

    answer = run(scenario())
    assert (answer["type"], answer["error"]["param"], answer["error"]["event_id"]) == ("error", "item.id", "mine")


def test_function_call() -> None:
    """A call is a separate item after the message; its output and a next response can follow."""

    async def scenario() -> tuple[list[dict[str, Any]], Scripted]:
        replier = Scripted(Text("Let me see."), CALL, Usage(7, 11))
        async with endpoint("", replier=replier) as client:
            await client.converse(output_modalities=["text"], tools=[{"type": "function", "name": "weather"}])
            events = await respond(client)
            output = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
            assert (await written(client, **output))["type"] == "conversation.item.added"
            await client.until("conversation.item.done")
            await respond(client)
            return events, replier

    events, replier = run(scenario())
    done = events[-2]["response"]
    assert [item["type"] for item in done["output"]] == ["message", "function_call"]
    assert done["output"][1]["arguments"] == CALL.arguments
    assert (done["usage"]["input_tokens"], done["usage"]["output_tokens"]) == (7, 11)
    kinds = [event["type"] for event in events]
    delta = kinds.index("response.function_call_arguments.delta")
    assert kinds[delta - 2 : delta + 4] == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert [item["type"] for item in replier.requests[1].items] == ["message", "function_call", "function_call_output"]
    assert replier.requests[0].tools[0]["name"] == "weather"


def test_one_response_at_a_time() -> None:
    """A second response is rejected while one is active; out-of-band responses are allowed."""

    async def scenario() -> tuple[dict[str, Any], list[dict[str, Any]], int]:
        go = asyncio.Event()
        replier = Scripted(Text("a"), go, Text("b"))
        async with endpoint("", replier=replier) as client:
            await client.converse(output_modalities=["text"])
            await client.send("response.create")
            await client.until("response.output_text.delta")
            refused = await client.answer("response.create", event_id="second")
            content = [{"type": "input_text", "text": "aside"}]
            input_ = [{"type": "message", "role": "user", "content": content}]
            await client.send("response.create", response={"conversation": "none", "input": input_})
            await client.until("response.output_text.delta")
            go.set()
            await client.until("response.done")
            await client.until("response.done")
            return refused["error"], client.of("response.done"), len(replier.requests[1].items)

    error, done, context = run(scenario())
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
    assert {event["response"]["conversation_id"] is None for event in done} == {True, False}
    assert context == 1


def test_out_of_band_leaves_no_item() -> None:
    """An out-of-band response adds no item to the conversation."""

    async def scenario() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        async with endpoint("", replier=Scripted(Text("aside"))) as client:
            item = await client.say("Hello.", id="mine")
            reference = {"type": "item_reference", "id": item["id"]}
            events = await respond(client, conversation="none", output_modalities=["text"], input=[reference])
            gone = await client.answer("conversation.item.retrieve", item_id=events[-2]["response"]["output"][0]["id"])
            return events, gone["error"]

    events, error = run(scenario())
    assert not [event for event in events if event["type"] in ITEM_EVENTS]
    assert error["code"] == "item_retrieve_invalid_item_id"


@pytest.mark.parametrize("by_name", [True, False])
def test_cancel(by_name: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A cancelled response ends at once with an incomplete item; the next response works."""

    async def scenario() -> tuple[Client, Scripted, list[dict[str, Any]]]:
        replier = Scripted(*SPOKEN, asyncio.Event(), *SPOKEN)
        async with endpoint("", replier=replier) as client:
            await client.send("response.create")
            response = (await client.until("response.created"))["response"]
            for _ in range(2):
                await client.until("response.output_audio.delta")
            await client.send("response.cancel", **({"response_id": response["id"]} if by_name else {}))
            await client.until("response.done")
            rest = await client.barrier()
            again = await client.answer("response.cancel")
            assert again["error"]["code"] == "response_cancel_not_active"
            await client.send("response.create")
            await client.until("response.created")
            return client, replier, rest

    client, replier, rest = run(scenario())
    done = client.of("response.done")[0]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert done["output"][0]["status"] == "incomplete"
    assert {event["type"] for event in rest} <= {"rate_limits.updated"}
    assert replier.ended.is_set()


def test_cancel_while_the_client_does_not_read() -> None:
    """A reply waits for a client that does not read, without using more memory, and can be cancelled."""

    class Endless(Scripted):
        said = 0

        async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
            self.requests.append(request)
            while True:
                self.said += 1
                yield PIECE

    async def scenario() -> tuple[str, int, int]:
        replier = Endless()
        async with endpoint("", replier=replier) as client:
            client.socket.transport.pause_reading()
            await client.send("response.create")
            before = -1
            while before != replier.said:  # endless without back-pressure
                before = replier.said
                await asyncio.sleep(0.2)
            await client.send("response.cancel")
            client.socket.transport.resume_reading()
            done = await client.until("response.done")
            return done["response"]["status"], len(client.of("response.output_audio.delta")), replier.said

    status, told, said = run(scenario())
    assert status == "cancelled"
    assert said - 1 <= told <= said


def test_failed() -> None:
    """A failed reply is a failed response with the reason; the session continues."""

    async def scenario() -> list[dict[str, Any]]:
        async with endpoint("", replier=Scripted(Text("I "), ReplyFailed("The source is gone."))) as client:
            events = await respond(client)
            assert (await client.converse())["type"] == "session.updated"
            return events

    done = run(scenario())[-2]["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "The source is gone."


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_token_limit(modality: str) -> None:
    """A response above the token limit is cut and incomplete."""

    async def scenario() -> dict[str, Any]:
        async with endpoint("", replier=Scripted(*SPOKEN * 3)) as client:
            events = await respond(client, max_output_tokens=5, output_modalities=[modality])
            return events[-2]["response"]  # type: ignore[no-any-return]  # JSON

    done = run(scenario())
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert done["usage"]["output_tokens"] == 5


def test_no_replier() -> None:
    """Without replier a response is completed, and has one item without words: clients wait for an item."""

    async def scenario() -> list[dict[str, Any]]:
        async with endpoint("") as client:
            return await respond(client)

    events = run(scenario())
    assert [event["type"] for event in events] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    response = events[-2]["response"]
    (item,) = response["output"]
    assert (response["status"], item["status"]) == ("completed", "completed")
    assert item["content"] == [{"type": "output_audio", "transcript": ""}]
    assert response["usage"]["output_tokens"] == 0


@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        pytest.param([], "invalid_type", "response", id="no object"),
        pytest.param({"no": 1}, "unknown_parameter", "response.no", id="unknown"),
        pytest.param(
            {"output_modalities": ["audio", "text"]}, "invalid_value", "response.output_modalities", id="both"
        ),
        pytest.param(
            {"max_output_tokens": 5_000}, "integer_above_max_value", "response.max_output_tokens", id="tokens"
        ),
        pytest.param({"conversation": "other"}, "invalid_value", "response.conversation", id="conversation"),
        pytest.param({"metadata": {"a": 1}}, "invalid_type", "response.metadata.a", id="metadata"),
        pytest.param(
            {"metadata": dict.fromkeys(map(str, range(17)), "")}, "invalid_value", "response.metadata", id="17"
        ),
        pytest.param({"input": {}}, "invalid_type", "response.input", id="input"),
        pytest.param({"input": [{"type": "nothing"}]}, "invalid_value", "response.input[0].type", id="item"),
        pytest.param(
            {"input": [{"type": "item_reference", "id": "x"}]}, "item_not_found", "response.input[0].id", id="reference"
        ),
    ],
)
def test_bad_response_create(response: Any, code: str, param: str) -> None:
    """The error has the path of the invalid field; no response is created."""

    async def scenario() -> dict[str, Any]:
        async with endpoint("", replier=Scripted()) as client:
            answer = await client.answer("response.create", response=response, event_id="mine")
            assert not await client.barrier()
            return answer["error"]  # type: ignore[no-any-return]  # JSON

    error = run(scenario())
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")


TEXT = {"type": "input_text", "text": "x"}


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        pytest.param(1, "invalid_type", "item", id="no object"),
        pytest.param({}, "missing_required_parameter", "item.type", id="no type"),
        pytest.param({"type": "mcp_tool_call"}, "invalid_value", "item.type", id="MCP"),
        pytest.param({"type": "message", "content": []}, "missing_required_parameter", "item.role", id="no role"),
        pytest.param({"type": "message", "role": "user"}, "missing_required_parameter", "item.content", id="empty"),
        pytest.param(
            {"type": "message", "role": "assistant", "content": [TEXT]},
            "invalid_value",
            "item.content[0].type",
            id="part",
        ),
        pytest.param(
            {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "audio": ""}]},
            "invalid_value",
            "item.content[0]",
            id="audio of the assistant",
        ),
        pytest.param(
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "!"}]},
            "invalid_value",
            "item.content[0].audio",
            id="no base64",
        ),
        pytest.param(
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]},
            "invalid_value",
            "item.content[0].image_url",
            id="image elsewhere",
        ),
        pytest.param({"type": "function_call", "name": "f"}, "missing_required_parameter", "item.arguments", id="call"),
        pytest.param(
            {"type": "function_call_output", "call_id": "x", "output": ""},
            "invalid_tool_call_id",
            "item.call_id",
            id="output of no call",
        ),
        pytest.param(
            {"type": "message", "role": "user", "content": [], "id": ""}, "string_below_min_length", "item.id", id="id"
        ),
    ],
)
def test_bad_items(item: Any, code: str, param: str) -> None:
    """The error has the path of the invalid field."""

    async def scenario() -> dict[str, Any]:
        async with endpoint("") as client:
            answer = await client.answer("conversation.item.create", item=item)
            return answer["error"]  # type: ignore[no-any-return]  # JSON

    error = run(scenario())
    assert (error["code"], error["param"]) == (code, param)


def test_positions_of_items() -> None:
    """Items are inserted at the requested position with the client's ids; each id is unique."""

    async def scenario() -> tuple[list[Any], list[dict[str, Any]]]:
        async with endpoint("") as client:
            answers = []
            for item_id, previous in [("a", None), ("b", None), ("c", "root"), ("d", "a"), ("a", None), ("e", "no")]:
                item = {"type": "message", "role": "system", "content": [TEXT], "id": item_id}
                await client.send("conversation.item.create", item=item, previous_item_id=previous)
                answers.append(await client.until("conversation.item.done", "error"))
            assert (await client.answer("conversation.item.delete", item_id="a"))["item_id"] == "a"
            twice = await client.answer("conversation.item.delete", item_id="a")
            return [answer.get("previous_item_id") for answer in answers[:4]], [
                event["error"] for event in (*answers[4:], twice)
            ]

    places, errors = run(scenario())
    assert places == [None, "a", None, "a"]
    assert [error["code"] for error in errors] == [
        "item_create_duplicate_item_id",
        "item_create_invalid_previous_item_id",
        "item_delete_invalid_item_id",
    ]


def test_an_image_is_kept() -> None:
    """An image can be created and retrieved."""
    part = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}

    async def scenario() -> dict[str, Any]:
        async with endpoint("") as client:
            added = await written(client, type="message", role="user", content=[part])
            await client.until("conversation.item.done")
            return await client.answer("conversation.item.retrieve", item_id=added["item"]["id"])

    assert run(scenario())["item"]["content"] == [part]


@pytest.mark.parametrize("coding", ["audio/pcm", "audio/pcmu", "audio/pcma"])
def test_retrieve_a_turn(coding: str) -> None:
    """The audio of a turn is returned unchanged, in the session's format."""
    sound = silence(0.1) + recording("sense_0930")[:9_600]
    if coding != "audio/pcm":
        sound = g711.encode(recording("sense_0930", 8_000)[:8_000], "pcmu" if coding == "audio/pcmu" else "pcma")

    async def scenario() -> bytes:
        async with endpoint("") as client:
            await client.converse(input={"format": {"type": coding}})
            await client.append(sound)
            committed = await client.answer("input_audio_buffer.commit")
            await client.until("conversation.item.done")
            retrieved = await client.answer("conversation.item.retrieve", item_id=committed["item_id"])
            return base64.b64decode(retrieved["item"]["content"][0]["audio"])

    assert decoded(run(scenario()), coding) == decoded(sound, coding)


def decoded(sound: bytes, coding: str) -> bytes:
    """s16le; G.711 has two codes for zero."""
    if coding == "audio/pcm":
        return sound
    return g711.decode(sound, "pcmu" if coding == "audio/pcmu" else "pcma")


@pytest.mark.parametrize("coding", ["pcmu", "pcma"])
def test_reply_as_g711(coding: Any) -> None:
    """Replies and retrieved items have the session's output format."""

    async def scenario() -> tuple[bytes, bytes]:
        async with endpoint("", replier=Scripted(*SPOKEN)) as client:
            await client.converse(output={"format": {"type": f"audio/{coding}"}})
            events = await respond(client)
            item = events[-2]["response"]["output"][0]["id"]
            retrieved = await client.answer("conversation.item.retrieve", item_id=item)
            return audio_of(events), base64.b64decode(retrieved["item"]["content"][0]["audio"])

    told, kept = run(scenario())
    assert len(told) == pytest.approx(0.4 * 8_000, abs=2)
    assert told == kept


def test_truncate() -> None:
    """Truncation keeps the played audio, removes the transcript, and keeps the played words for repliers."""

    async def scenario() -> tuple[dict[str, Any], dict[str, Any], list[str], Any]:
        replier = Scripted(*SPOKEN)
        async with endpoint("", replier=replier) as client:
            user = await client.say("Hello.")
            item = (await respond(client))[-2]["response"]["output"][0]["id"]
            name = "conversation.item.truncate"
            refused = [
                await client.answer(name, item_id=item, content_index=0, audio_end_ms=401),
                await client.answer(name, item_id=user["id"], content_index=0, audio_end_ms=0),
                await client.answer(name, item_id="no", content_index=0, audio_end_ms=0),
                await client.answer(name, item_id=item, content_index=0),
                await client.answer(name, content_index=0, audio_end_ms=0),
                await client.answer(name, item_id=item, content_index=1, audio_end_ms=0),
                await client.answer(name, item_id=item, audio_end_ms=-1),
            ]
            truncated = await client.answer(name, item_id=item, content_index=0, audio_end_ms=200)
            kept = await client.answer("conversation.item.retrieve", item_id=item)
            await respond(client)
            remembered = replier.requests[1].items[1]["content"][0]["transcript"]
            return truncated, kept["item"], [event["error"]["code"] for event in refused], remembered

    truncated, kept, codes, remembered = run(scenario())
    assert codes == [
        "invalid_value",
        "unsupported_content_type",
        "item_truncate_invalid_item_id",
        "invalid_type",
        "missing_required_parameter",
        "unsupported_content_type",
        "integer_below_min_value",
    ]
    assert (truncated["type"], truncated["audio_end_ms"]) == ("conversation.item.truncated", 200)
    assert kept["content"][0]["transcript"] == ""
    assert base64.b64decode(kept["content"][0]["audio"]) == PIECE.pcm
    assert remembered == "Good"


def test_output_buffer() -> None:
    """output_audio_buffer.clear, which is for other transports, gets an answer."""

    async def scenario() -> tuple[str, str]:
        async with endpoint("", replier=Scripted(Text("x"))) as client:
            events = await respond(client)
            cleared = await client.answer("output_audio_buffer.clear")
            return events[0]["response"]["id"], cleared["response_id"]

    created, cleared = run(scenario())
    assert created == cleared


def test_voice_cannot_change() -> None:
    """After audio of the assistant the voice cannot change."""

    async def scenario() -> tuple[str, dict[str, Any], str]:
        async with endpoint("", replier=Scripted(PIECE)) as client:
            early = await client.converse(output={"voice": "marin"})
            await respond(client)
            late = await client.converse(output={"voice": "alloy"})
            other = await client.answer("response.create", response={"audio": {"output": {"voice": "alloy"}}})
            return early["type"], late["error"], other["error"]["code"]

    early, late, other = run(scenario())
    assert early == "session.updated"
    assert (late["code"], late["param"]) == ("cannot_update_voice", "session.audio.output.voice")
    assert other == "cannot_update_voice"


def test_a_transcription_has_no_responses() -> None:
    """A transcription session rejects responses and accepts items."""

    async def scenario() -> tuple[str, str]:
        async with endpoint(replier=Scripted()) as client:
            return (await client.answer("response.create"))["error"]["code"], (await client.say("x"))["status"]

    assert run(scenario()) == ("invalid_value", "completed")


VAD = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}
TURN = "sense_0930"


def test_a_turn_is_answered() -> None:
    """With VAD the end of a turn creates a response; echo returns the turn with its exact length."""

    async def scenario() -> Client:
        async with endpoint("", replier=Echo()) as client:
            await client.converse(input=VAD)
            await client.append(silence(1) + recording(TURN) + silence(1))
            await client.until("rate_limits.updated")
            return client

    client = run(scenario())
    types = [event["type"] for event in client.seen]
    assert types.index("input_audio_buffer.committed") < types.index("response.created")
    started, stopped = client.of("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped")
    length = (stopped["audio_end_ms"] - started["audio_start_ms"]) * 48
    assert len(audio_of(client.seen)) == pytest.approx(length, abs=96)
    assistant = client.of("conversation.item.added")[-1]
    assert assistant["previous_item_id"] == client.of("input_audio_buffer.committed")[0]["item_id"]
    assert not client.of(COMPLETED)


def test_create_response_false() -> None:
    """With create_response off, a turn creates no response."""

    async def scenario() -> Client:
        async with endpoint("", replier=Echo()) as client:
            await client.converse(input={"turn_detection": {**VAD["turn_detection"], "create_response": False}})
            await client.append(silence(1) + recording(TURN) + silence(1))
            await client.until("conversation.item.done")
            await client.barrier()
            return client

    assert not run(scenario()).of("response.created")


def is_of_a_turn(event: dict[str, Any]) -> bool:
    """True if the event is about a turn of the user."""
    return "item" not in event or event["item"]["role"] == "user"


@pytest.mark.parametrize("interrupts", [True, False])
def test_barge_in(interrupts: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Speech cancels the reply at once and its turn gets a response, unless interrupt_response is off."""

    async def scenario() -> Client:
        never = asyncio.Event()
        async with endpoint("", replier=Scripted(*SPOKEN, never)) as client:
            detection = {**VAD["turn_detection"], "interrupt_response": interrupts}
            await client.converse(input={"turn_detection": detection})
            turn = silence(1) + recording(TURN) + silence(1)
            await client.append(turn)
            for _ in range(2):
                await client.until("response.output_audio.delta")
            await client.append(turn)
            if interrupts:
                await client.until("response.done")
                await client.until("response.created")
            else:
                await client.until("input_audio_buffer.committed")
                await client.barrier()
                assert not client.of("response.done")
                await client.send("response.cancel")  # now the waiting turn gets its response
                await client.until("response.created")
            return client

    client = run(scenario())
    done = client.of("response.done")[0]["response"]
    reason = "turn_detected" if interrupts else "client_cancelled"
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", reason)
    for type_ in ("input_audio_buffer.committed", *ITEM_EVENTS):
        user, *_, second = (event for event in client.of(type_) if is_of_a_turn(event))
        assert (user["previous_item_id"], second["previous_item_id"]) == (None, done["output"][0]["id"])
    first = client.of("response.created")[0]["response"]["id"]
    after = client.seen[client.seen.index(client.of("response.done")[0]) + 1 :]
    assert not [event for event in after if event.get("response_id") == first]


def test_idle_timeout() -> None:
    """A long silence after a reply is committed and gets a response."""

    async def scenario() -> Client:
        async with endpoint("", replier=Scripted(Text("Are you there?"))) as client:
            detection = {**VAD["turn_detection"], "idle_timeout_ms": 5_000}
            await client.converse(input={"turn_detection": detection}, output_modalities=["text"])
            await respond(client)
            await client.append(silence(6))
            await client.until("input_audio_buffer.timeout_triggered")
            await client.until("response.done")
            return client

    types = [event["type"] for event in run(scenario()).seen]
    at = types.index("input_audio_buffer.timeout_triggered")
    assert types[at + 1 : at + 5] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]


def test_expiry() -> None:
    """A session ends at expires_at with session_expired and 1001."""

    async def scenario() -> tuple[dict[str, Any], int | None]:
        async with endpoint("", limits=Limits(session_s=0.3)) as client:
            error = await client.until("error")
            await client.socket.wait_closed()
            return error["error"], client.socket.close_code

    error, code = run(scenario())
    assert (error["code"], code) == ("session_expired", 1001)


def test_disconnect_during_a_reply() -> None:
    """A reply ends with its client; the server continues."""

    async def scenario() -> bool:
        replier = Scripted(PIECE, asyncio.Event())
        async with endpoint("", replier=replier) as client:
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            await client.socket.close()
            await replier.ended.wait()
        return replier.ended.is_set()

    assert run(scenario())
