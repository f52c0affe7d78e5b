"""The official Python package, unmodified, against the embedded endpoint."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import ValidationError

from tests.clients.python_scenarios import SCENARIOS
from tests.clients.stages import TOKEN, leave_out, stage
from tests.clients.talk import CONVERSATION
from tests.fakes import run
from tests.program import needs_words
from tests.server.client import check, noise

NAMES = [pytest.param(name, marks=needs_words if SCENARIOS[name][0] == "words" else ()) for name in SCENARIOS]
SAID = noise(0.7)


async def play(name: str, *faults: str) -> None:
    """Run a scenario against its endpoint."""
    where, scenario = SCENARIOS[name]
    async with (
        stage(where, *faults) as server,
        AsyncOpenAI(api_key=TOKEN, base_url=f"http://127.0.0.1:{server.port}/v1", max_retries=0) as client,
    ):
        await scenario(client)


@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str) -> None:
    """See :mod:`tests.clients.python_scenarios`."""
    run(play(name), 60)


@pytest.mark.parametrize(
    ("fault", "name", "noticed"),
    [
        ("dup=session.created", "errors", "session.created.* in place of session.updated"),
        ("omit=conversation.item.added", "spoken_conversation", "item.done.* in place of conversation.item.added"),
        ("omit=response.content_part.added", "out_of_band", "delta.* in place of response.content_part.added"),
        ("dup=committed", "spoken_conversation", "committed.* in place of conversation.item.added"),
        ("reorder=response.output_audio.done", "spoken_conversation", "in place of response.output_audio.done"),
    ],
)
def test_a_broken_answer_is_noticed(fault: str, name: str, noticed: str) -> None:
    """Each broken answer makes its scenario fail with a reason."""
    with pytest.raises(AssertionError, match=noticed):
        run(play(name, fault), 60)


@pytest.mark.parametrize(
    ("name", "field"), [("spoken_conversation", "content_index"), ("items", "item_id"), ("out_of_band", "output_index")]
)
def test_a_missing_field_is_noticed(name: str, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event without a required field makes a scenario fail."""
    leave_out(field, monkeypatch)
    with pytest.raises((ValidationError, AssertionError), match=field):
        run(play(name), 60)


def _talk_in_turns(client: OpenAI) -> bytes:
    """A turn and its answer with the blocking client and its handlers; returns the received audio."""
    sound: list[str] = []
    with client.realtime.connect(**CONVERSATION) as connection:

        def begin(event: Any) -> None:
            assert event.session.type == "realtime"
            audio: Any = {"input": {"turn_detection": None}}
            connection.session.update(session={"type": "realtime", "audio": audio})

        def speak(_event: Any) -> None:
            connection.input_audio_buffer.append(audio=base64.b64encode(SAID).decode())
            connection.input_audio_buffer.commit()
            connection.response.create()

        connection.on("session.created", begin)
        connection.on("session.updated", speak)
        connection.on("event", lambda event: check(event.to_dict()))
        connection.on("response.output_audio.delta", lambda event: sound.append(event.delta))
        connection.on("response.done", lambda _event: connection.close())
        connection.dispatch_events()
    return b"".join(map(base64.b64decode, sound))


# The package uses a deprecated API of the WebSocket library.
@pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager:DeprecationWarning")
def test_the_blocking_client() -> None:
    """Handlers are called for each event, and the reply is the echo of the turn."""

    async def scenario() -> bytes:
        async with stage("echo") as server:
            with OpenAI(api_key=TOKEN, base_url=f"http://127.0.0.1:{server.port}/v1", max_retries=0) as client:
                return await asyncio.to_thread(_talk_in_turns, client)

    assert run(scenario(), 60) == SAID
