"""Endpoints that greet late or twice, leave events out, send nonsense, or report irrelevant errors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Event, Habits
from tests.servers import Client, polite, scripted
from tests.streaming.harness import MemorySource, Run, settings, stream, with_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.settings import TurnDetection
    from tests.servers import Script

SOUND, SPANS = turns(3)
GARBAGE: list[str | bytes] = [
    "{not JSON",
    "",
    "null",
    "[]",
    "7",
    '"text"',
    "{}",
    '{"type": 7}',
    '{"type": "unheard.of", "x": 1}',
    b"\x00\xff\xfe binary",
    '{"type": "error", "error": "just a string"}',
    '{"type": "error", "error": null}',
    '{"type": "error"}',
    '{"type": "input_audio_buffer.speech_started", "item_id": null, "audio_start_ms": null}',
    '{"type": "input_audio_buffer.speech_started", "item_id": 5, "audio_start_ms": -1}',
    '{"type": "input_audio_buffer.speech_stopped", "item_id": "x", "audio_end_ms": 1e300}',
    '{"type": "input_audio_buffer.speech_stopped", "item_id": "x", "audio_end_ms": ' + "9" * 400 + "}",
    '{"type": "conversation.item.input_audio_transcription.delta", "item_id": null, "delta": null}',
    '{"type": "conversation.item.input_audio_transcription.completed", "item_id": {}, "transcript": []}',
    '{"type": "session.created", "session": "none"}',
    "[" * 100_000,
    '{"a":' * 50_000,
]


def delivered(script: Script, *, live: bool = False) -> tuple[Run, bytes]:
    """One run without turn detection; return the run and the audio that arrived."""

    async def scenario(url: str) -> Run:
        source = MemorySource(SOUND, live=live, speed=2)
        return await stream(url, source, with_turns(settings(speed=10.0), "none"))

    with scripted(script) as server:
        return run(scenario(server.url), seconds=30), server.audio


async def answer(client: Client) -> None:
    """Do what a good endpoint does after the greeting."""
    await client.until("input_audio_buffer.commit")
    await client.complete(await client.commit(), "all of it")
    await client.until("nothing")


async def greets_late(client: Client) -> None:
    """Greet two seconds after the handshake."""
    await asyncio.sleep(2)
    await client.greet()
    await answer(client)


async def greets_twice(client: Client) -> None:
    """Send each event of the greeting twice."""
    for _ in range(2):
        await client.say("session.created", session={"id": "sess_1"})
    update = await client.until("session.update")
    for _ in range(2):
        await client.say("session.updated", session=update["session"])
    await answer(client)


async def greets_backwards(client: Client) -> None:
    """Send the greeting again after the reply to the configuration."""
    await client.greet()
    await client.say("session.created", session={"id": "sess_1"})
    await answer(client)


async def talks_nonsense(client: Client) -> None:
    """Send all nonsense, before and after the first audio."""
    await client.greet()
    for each in GARBAGE:
        await client.connection.send(each)
    await client.until("input_audio_buffer.append")
    for each in GARBAGE:
        await client.connection.send(each)
    await answer(client)


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("script", [greets_late, greets_twice, greets_backwards])
def test_greetings(script: Script, *, live: bool) -> None:
    """All audio arrives, from the first sample on."""
    result, audio = delivered(script, live=live)

    assert audio == SOUND
    assert ([final.text for final in result.finals], result.summary.exit) == (["all of it"], 0)


def test_nonsense_is_ignored() -> None:
    """Bad JSON, binary frames, wrong types, huge numbers, deep nesting: the run completes."""
    result, audio = delivered(talks_nonsense)

    assert audio == SOUND
    assert ([final.text for final in result.finals], result.summary.exit) == (["all of it"], 0)
    assert result.states == ["ready", "closed"]


def test_text_that_is_no_utf_8_ends_the_session_and_not_the_run() -> None:
    """As RFC 6455 demands; the next session gets all audio."""
    served = 0

    async def script(client: Client) -> None:
        nonlocal served
        served += 1
        if served > 1:
            await polite("all of it")(client)
        await client.greet()
        await client.until("input_audio_buffer.append")
        await client.connection.send(b'{"type": "\xff"}', text=True)
        await client.until("nothing")

    result, _ = delivered(script)
    assert ([final.text for final in result.finals], result.summary.exit) == (["all of it"], 0)
    assert result.states == ["ready", "lost", "resumed", "closed"]


def without(kind: str) -> Callable[[], Callable[[Event], list[Event]]]:
    """An endpoint that leaves out events of a kind."""
    return lambda: lambda event: [] if event["type"] == kind else [event]


def complaining() -> Callable[[Event], list[Event]]:
    """An endpoint that reports an error about an unknown response with each item."""
    error = {"type": "invalid_request_error", "code": "conversation_already_has_active_response", "message": "busy"}
    return lambda event: [event, {"type": "error", "error": error}] if event["type"].endswith("committed") else [event]


@pytest.mark.parametrize("turn_detection", ["server_vad", "client"])
@pytest.mark.parametrize(
    "says",
    [
        without("input_audio_buffer.committed"),
        without("input_audio_buffer.speech_started"),
        without("input_audio_buffer.speech_stopped"),
        without("conversation.item.input_audio_transcription.delta"),
        complaining,
    ],
    ids=["no committed", "no speech_started", "no speech_stopped", "no delta", "complaints"],
)
def test_what_is_left_out_or_complained_of(
    says: Callable[[], Callable[[Event], list[Event]]], turn_detection: TurnDetection
) -> None:
    """Every turn has its final once all the same."""

    async def scenario() -> Run:
        async with ExactEndpoint(Habits(says=says)).serving() as endpoint:
            chosen = with_turns(settings(speed=5.0, drain_timeout_s=1.5), turn_detection)
            return await stream(endpoint.url, MemorySource(SOUND), chosen)

    result = run(scenario(), seconds=30)
    assert judge([final.text for final in result.finals], SPANS).perfect
    assert result.summary.exit == 0


def test_silence_keeps_a_session_alive() -> None:
    """A muted microphone sends silence: an endpoint with a timeout of one second without audio stays."""

    async def script(client: Client) -> None:
        await client.greet()
        while True:
            try:
                async with asyncio.timeout(1):
                    event = await client.next()
            except TimeoutError:
                await client.close(1011, "no audio")
                return
            if event["type"] == "input_audio_buffer.commit":
                await client.complete(await client.commit(), "")

    async def scenario(url: str) -> Run:
        return await stream(url, MemorySource(bytes(4 * 48_000), live=True), with_turns(settings(), "none"))

    with scripted(script) as server:
        result = run(scenario(server.url), seconds=30)
    assert (server.clients, result.states) == (1, ["ready", "closed"])
    assert result.summary.complete
