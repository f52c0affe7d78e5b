"""All events: accepted or sent, and validated by OpenAI's models.

``python -m tests.server.session.test_event_table`` prints the table.
"""

from __future__ import annotations

import base64
from typing import Any, get_args

from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from rt_cli.server.faults.event_names import CLIENT_EVENTS, SERVER_EVENTS
from rt_cli.server.session.session import ServerSession
from tests.fakes import run
from tests.server.client import recording, silence, validated
from tests.server.scripted import CALL, SPOKEN, Scripted, ScriptedSession
from tests.server.wire import Wire

VAD = {"type": "server_vad", "silence_duration_ms": 300, "idle_timeout_ms": 5_000, "create_response": False}


def update(modality: str, **audio_input: Any) -> dict[str, Any]:
    """A conversation with transcription."""
    audio = {"input": {"transcription": {"model": "any"}, "turn_detection": None, **audio_input}}
    return {
        "type": "session.update",
        "session": {"type": "realtime", "output_modalities": [modality], "audio": audio},
    }


def append(sound: bytes) -> dict[str, Any]:
    """An append."""
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(sound).decode()}


SPEECH = [append(silence(0.5) + recording("sense_0930") + silence(0.7))]
CREATE = {"type": "response.create"}
WAIT = {"type": "wait for the reply"}
CONTENT = [{"type": "input_text", "text": "Hello."}]
SCRIPT = [
    update("audio", turn_detection=VAD),
    *SPEECH,
    CREATE,
    WAIT,
    {"type": "conversation.item.retrieve", "item_id": "newest"},
    {"type": "conversation.item.truncate", "item_id": "newest", "content_index": 0, "audio_end_ms": 100},
    {"type": "output_audio_buffer.clear"},
    {"type": "response.cancel"},
    append(silence(6)),
    WAIT,
    {"type": "input_audio_buffer.clear"},
    update("text"),
    append(silence(1)),
    {"type": "input_audio_buffer.commit"},
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": CONTENT, "id": "mine"},
    },
    CREATE,
    WAIT,
    {"type": "conversation.item.delete", "item_id": "mine"},
]


async def played(script: list[Any], recognizer_session: ScriptedSession) -> list[dict[str, Any]]:
    """The events that a session sends for a script."""
    wire = Wire(script)
    replier = Scripted(CALL, *SPOKEN[:2])
    await ServerSession("realtime", recognizer_session, wire.send, lambda _: None, None, replier=replier).run(
        wire.messages()
    )
    return wire.events


async def everything() -> list[dict[str, Any]]:
    """The events of a complete session, and of a session whose recognition fails."""
    events = await played(SCRIPT, ScriptedSession("good day"))
    return events + await played([update("text", turn_detection=VAD), *SPEECH], ScriptedSession("", "no words"))


def client_models() -> dict[str, str]:
    """The model of each type that clients send."""
    union = get_args(get_args(RealtimeClientEvent)[0])
    return {model.model_fields["type"].annotation.__args__[0]: model.__name__ for model in union}


def test_every_event() -> None:
    """All server events are sent and valid; all client events are accepted."""
    events = run(everything())
    assert set(SERVER_EVENTS) == {event["type"] for event in events}
    assert set(SERVER_EVENTS) <= set(validated)
    sent = {event["type"] for event in SCRIPT} - {WAIT["type"]}
    assert set(CLIENT_EVENTS) == sent == set(client_models())
    for event in SCRIPT:
        if event != WAIT:
            TypeAdapter(RealtimeClientEvent).validate_python(event)
    refused = [event["error"]["code"] for event in events if event["type"] == "error"]
    assert refused == ["response_cancel_not_active"]


if __name__ == "__main__":
    run(everything(), seconds=60)
    for direction, models in (("accepted", client_models()), ("emitted", validated)):
        for name in sorted(models):
            print(f"| {name} | {direction} | {models[name]} |")
