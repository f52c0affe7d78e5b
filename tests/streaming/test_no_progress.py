"""Endpoints that show life, and take no audio: a hung backend behind a proxy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rt_cli.streaming.delivery import reconnect
from tests.exact import turns
from tests.fakes import run
from tests.servers import polite, scripted
from tests.streaming.harness import MemorySource, settings, stream, with_turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.servers import Client

SOUND, _ = turns(10)
PATIENCE_S = 1.5


async def ping(client: Client) -> None:
    """A sign of life of the protocol."""
    await client.connection.ping()


async def empty_delta(client: Client) -> None:
    """A sign of life of the application."""
    await client.say("conversation.item.input_audio_transcription.delta", item_id="x", delta="", content_index=0)


async def unknown_event(client: Client) -> None:
    """Something that says nothing."""
    await client.say("provider.heartbeat")


@pytest.mark.parametrize("life", [ping, empty_delta, unknown_event])
def test_a_hung_endpoint_is_left(life: Callable[[Client], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads nothing, and the kernel takes all that is sent: the next connection gets everything."""
    monkeypatch.setattr(reconnect, "progress_patience", lambda _stuck: PATIENCE_S)
    clients = 0

    async def script(client: Client) -> None:
        nonlocal clients
        clients += 1
        if clients > 1:
            await polite("all of it")(client)
        await client.greet()
        client.connection.transport.pause_reading()
        while True:
            await life(client)
            await asyncio.sleep(0.2)

    with scripted(script) as server:
        chosen = with_turns(settings(), "none")
        result = run(stream(server.url, MemorySource(SOUND), chosen), seconds=20)

    assert clients == 2
    assert [final.text for final in result.finals] == ["all of it"]
    assert (result.summary.exit, result.summary.reconnects) == (0, 1)
