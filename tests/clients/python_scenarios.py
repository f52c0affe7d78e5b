"""Scenarios of a realtime client, with the official Python package."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosedError

from tests.clients.talk import (
    CALLED,
    COMMIT,
    COMPLETED,
    CONVERSATION,
    DELTA,
    ITEM,
    SPEECH,
    SPOKEN,
    TRANSCRIPTION,
    WRITTEN,
    Talk,
    audio_of,
    joined_text,
    talking,
    transcribed,
)
from tests.server.client import noise, recording, silence

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Scenario = Callable[["AsyncOpenAI"], Awaitable[None]]

SCENARIOS: dict[str, tuple[str, Scenario]] = {}
"""By its name, the stage that a scenario plays on, and the scenario."""

WORDS = {"he", "might", "even", "have", "been", "made", "amiable", "himself"}
"""Of the recording; a demo recogniser gets most of them."""
SERVER_VAD = {"type": "server_vad", "silence_duration_ms": 500, "create_response": False}


def on(stage: str) -> Callable[[Scenario], Scenario]:
    """Register a scenario for this stage."""

    def put(scenario: Scenario) -> Scenario:
        SCENARIOS[scenario.__name__] = stage, scenario  # type: ignore[attr-defined]  # a function has one
        return scenario

    return put


@on("echo")
async def greeting(client: AsyncOpenAI) -> None:
    """Both types of session get ``session.created`` with their type."""
    for options, kind in ((CONVERSATION, "realtime"), (TRANSCRIPTION, "transcription")):
        async with client.realtime.connect(**options) as connection:
            created = await Talk(connection).next("session.created")
            assert created.session.type == kind
            assert created.session.audio.input.turn_detection.type == "server_vad"
            assert created.session.expires_at > 0


@on("echo")
async def update(client: AsyncOpenAI) -> None:
    """An update changes only its own fields; an update with one error changes nothing."""
    async with talking(client, **CONVERSATION) as talk:
        await talk.converse(instructions="Be brief.", max_output_tokens=100)
        session = (await talk.converse({"type": "semantic_vad"}, output_modalities=["text"])).session
        assert (session.instructions, session.max_output_tokens, session.output_modalities) == (
            "Be brief.",
            100,
            ["text"],
        )
        assert session.audio.input.turn_detection.type == "semantic_vad"

        detection: Any = {"type": "server_vad", "threshold": 7}
        wrong: Any = {"type": "realtime", "instructions": "Shout.", "audio": {"input": {"turn_detection": detection}}}
        await talk.to.session.update(session=wrong, event_id="mine")
        assert (await talk.refused("mine"))[1] == "session.audio.input.turn_detection.threshold"
        session = (await talk.converse()).session
        assert (session.instructions, session.audio.input.turn_detection) == ("Be brief.", None)


@on("words")
async def manual_transcription(client: AsyncOpenAI) -> None:
    """A human turn that the client commits gets words."""
    async with talking(client, **TRANSCRIPTION) as talk:
        await talk.transcribe()
        await talk.append(recording("sense_0930"))
        await talk.to.input_audio_buffer.commit()
        got = await talk.follow(f"{DELTA}*", *transcribed(*COMMIT))
        _is_transcribed(got)


@on("words")
async def vad_transcription(client: AsyncOpenAI) -> None:
    """A human turn is detected and gets words."""
    async with talking(client, **TRANSCRIPTION) as talk:
        await talk.transcribe({"type": "server_vad", "silence_duration_ms": 500})
        await talk.append(silence(1) + recording("sense_0930") + silence(1.5))
        got = await talk.follow(*transcribed(*SPEECH, *COMMIT))
        (started,), (stopped,) = got[SPEECH[0]], got[SPEECH[1]]
        assert started.item_id == stopped.item_id == got[COMMIT[0]][0].item_id
        assert 0 < started.audio_start_ms < stopped.audio_end_ms
        _is_transcribed(got)


def _is_transcribed(got: dict[str, list[Any]]) -> None:
    (completed,) = got[COMPLETED]
    assert len(WORDS & set(completed.transcript.split())) > len(WORDS) / 2
    assert completed.usage.seconds > 1
    assert {event.item_id for event in (*got[DELTA], completed)} == {got[COMMIT[0]][0].item_id}


@on("echo")
async def spoken_conversation(client: AsyncOpenAI) -> None:
    """``response.create`` gets a spoken answer, twice."""
    said = noise(1)
    async with talking(client, **CONVERSATION) as talk:
        await talk.converse()
        for _ in range(2):
            await talk.append(said)
            await talk.to.input_audio_buffer.commit()
            user = (await talk.follow(*COMMIT))[ITEM[0]][0].item
            await talk.to.response.create()
            got = await talk.follow(*SPOKEN)
            assert audio_of(got) == said
            item = got[ITEM[0]][0]
            assert item.previous_item_id == user.id
            _is_one_response(got, item.item.id)


def _is_one_response(got: dict[str, list[Any]], item_id: str) -> None:
    """All events belong to one response and one item."""
    (done,) = got["response.done"]
    assert (done.response.status, [item.id for item in done.response.output]) == ("completed", [item_id])
    assert done.response.usage.total_tokens > 0
    events = [event for events in got.values() for event in events]
    assert {event.response_id for event in events if hasattr(event, "response_id")} == {done.response.id}
    assert {event.item_id for event in events if hasattr(event, "item_id")} == {item_id}


@on("echo")
async def automatic_response(client: AsyncOpenAI) -> None:
    """A human turn is detected and gets a response."""
    said = recording("sense_0930")
    async with talking(client, **CONVERSATION) as talk:
        await talk.converse({"type": "server_vad", "silence_duration_ms": 500})
        await talk.append(silence(1) + said + silence(1.5))
        got = await talk.follow(*SPEECH, *COMMIT)
        answer = await talk.follow(*SPOKEN)
        assert answer[ITEM[0]][0].previous_item_id == got[COMMIT[0]][0].item_id
        assert len(audio_of(answer)) > len(said) / 2


@on("echo")
async def out_of_band(client: AsyncOpenAI) -> None:
    """An out-of-band response does not change the conversation, and its metadata identifies it."""
    async with talking(client, **CONVERSATION) as talk:
        await talk.converse()
        content: Any = [{"type": "input_text", "text": "Is this a question?"}]
        await talk.to.response.create(
            response={
                "conversation": "none",
                "output_modalities": ["text"],
                "input": [{"type": "message", "role": "user", "content": content}],
                "metadata": {"topic": "classification"},
            }
        )
        got = await talk.follow(*(step for step in WRITTEN if not step.startswith("conversation.")))
        (done,) = got["response.done"]
        assert done.response.metadata == {"topic": "classification"}
        assert done.response.conversation_id is None
        assert done.response.output[0].content[0].text == got["response.output_text.done"][0].text
        await talk.to.conversation.item.retrieve(item_id=done.response.output[0].id)
        assert (await talk.refused())[0] == "item_retrieve_invalid_item_id"


@on("endless")
async def cancel(client: AsyncOpenAI) -> None:
    """The client cancels a reply; a second response is rejected until then."""
    async with talking(client, **CONVERSATION) as talk:
        await talk.converse()
        for _ in range(2):
            await talk.write("Tell me a story.")
            await talk.to.response.create()
            await talk.until("response.output_audio.delta")
            await talk.to.response.create(event_id="second")
            error = (await talk.until("error")).error
            assert (error.code, error.event_id) == ("conversation_already_has_active_response", "second")
            await talk.to.response.cancel()
            done = (await talk.until("response.done")).response
            assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")
            await talk.next("rate_limits.updated")
        await talk.to.response.cancel(event_id="late")
        assert (await talk.refused("late"))[0] == "response_cancel_not_active"


@on("endless")
async def barge_in(client: AsyncOpenAI) -> None:
    """Speech cancels a reply, and the client truncates it to the played audio."""
    async with talking(client, **CONVERSATION) as talk:
        await talk.converse(SERVER_VAD)
        await talk.write("Tell me a story.")
        await talk.to.response.create()
        delta = await talk.until("response.output_audio.delta")
        await talk.append(silence(0.5) + recording("sense_0930") + silence(1))
        got = await talk.all_of(SPEECH[0], "response.done", COMMIT[0])
        done = got["response.done"].response
        assert list(got).index(SPEECH[0]) < list(got).index("response.done")
        assert (done.id, done.status) == (delta.response_id, "cancelled")
        assert done.status_details.reason == "turn_detected"
        await talk.to.output_audio_buffer.clear()
        await talk.until("output_audio_buffer.cleared")
        await talk.to.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=120)
        assert (await talk.next("conversation.item.truncated")).audio_end_ms == 120


@on("agent")
async def function_call(client: AsyncOpenAI) -> None:
    """A tool is called, and its result is in the next reply."""
    parameters = {"type": "object", "properties": {"zone": {"type": "string"}}}
    tool = {"type": "function", "name": "clock", "description": "The time.", "parameters": parameters}
    async with talking(client, **CONVERSATION) as talk:
        await talk.converse(tools=[tool], tool_choice="auto", output_modalities=["text"])
        await talk.write("What time is it?")
        await talk.to.response.create()
        got = await talk.follow(*CALLED)
        (call,) = got["response.done"][0].response.output
        assert (call.type, call.name, call.arguments) == ("function_call", "clock", '{"zone": "UTC"}')
        assert got["response.function_call_arguments.done"][0].arguments == call.arguments

        await talk.to.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": "five past six"}
        )
        await talk.follow(*ITEM)
        await talk.to.response.create()
        got = await talk.follow(*WRITTEN)
        assert joined_text(got["response.output_text.delta"]) == "It is five past six."
        assert got["response.done"][0].response.output[0].content[0].text == "It is five past six."


@on("echo")
async def items(client: AsyncOpenAI) -> None:
    """Items are created, ordered, retrieved, truncated and deleted."""
    said = noise(0.5)
    async with talking(client, **CONVERSATION) as talk:
        await talk.converse()
        await talk.append(said)
        await talk.to.input_audio_buffer.commit()
        turn = (await talk.follow(*COMMIT))[COMMIT[0]][0].item_id
        await talk.to.response.create()
        reply = (await talk.follow(*SPOKEN))[ITEM[0]][0].item.id

        item = talk.to.conversation.item
        content: Any = [{"type": "input_text", "text": "You are a parrot."}]
        system: Any = {"id": "mine", "type": "message", "role": "system", "content": content}
        await item.create(item=system, previous_item_id="root")
        created = (await talk.follow(*ITEM))[ITEM[0]][0]
        assert (created.item.id, created.previous_item_id) == ("mine", None)

        await item.truncate(item_id=reply, content_index=0, audio_end_ms=200)
        assert (await talk.next("conversation.item.truncated")).item_id == reply
        for item_id, sound in ((turn, said), (reply, said[:9_600])):
            await item.retrieve(item_id=item_id)
            (part,) = (await talk.next("conversation.item.retrieved")).item.content
            assert base64.b64decode(part.audio) == sound

        await item.delete(item_id="mine")
        assert (await talk.next("conversation.item.deleted")).item_id == "mine"
        await item.delete(item_id="mine", event_id="again")
        assert (await talk.refused("again"))[0] == "item_delete_invalid_item_id"


@on("echo")
async def errors(client: AsyncOpenAI) -> None:
    """Invalid events get errors with the client's id, and the session continues."""
    async with talking(client, **TRANSCRIPTION) as talk:
        await talk.transcribe()
        await talk.to.input_audio_buffer.commit(event_id="a")
        assert await talk.refused("a") == ("input_audio_buffer_commit_empty", None)
        await talk.append(noise(0.05))
        await talk.to.input_audio_buffer.commit(event_id="b")
        assert await talk.refused("b") == ("input_audio_buffer_commit_empty", None)
        await talk.to.input_audio_buffer.clear()
        await talk.next("input_audio_buffer.cleared")
        unknown: Any = {"type": "no.such.event", "event_id": "c"}
        await talk.to.send(unknown)
        assert await talk.refused("c") == ("invalid_value", "type")
        await talk.to.send_raw("{")
        assert (await talk.refused())[0] == "invalid_json"
        await talk.to.input_audio_buffer.append(audio="?", event_id="d")
        assert await talk.refused("d") == ("invalid_value", "audio")
        await talk.transcribe()


@on("guarded")
async def keys(client: AsyncOpenAI) -> None:
    """The right key opens a session; a wrong one gets an error, and the connection closes for good."""
    async with talking(client, **CONVERSATION):
        pass
    async with client.with_options(api_key="sk-wrong").realtime.connect(**CONVERSATION) as connection:
        assert (await Talk(connection).refused())[0] == "invalid_api_key"
        with pytest.raises(ConnectionClosedError) as closed:
            await connection.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 3000


@on("expiring")
async def expiry(client: AsyncOpenAI) -> None:
    """A session that expires gets an error, and the client's reconnection opens a new session."""
    told: list[str] = []
    codes: list[int] = []
    options: dict[str, Any] = {"on_reconnecting": lambda event: codes.append(event.close_code), "initial_delay": 0.01}
    async with client.realtime.connect(**CONVERSATION, **options) as connection:
        async for event in connection:
            told.append(event.error.code if event.type == "error" else event.type)
            if event.type == "session.created" and codes:
                break
        await Talk(connection).converse()
    assert told == ["session.created", "session_expired", "session.created"]
    assert codes == [1001]
