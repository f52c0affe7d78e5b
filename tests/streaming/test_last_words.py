"""The error event before a close is the cause of that close."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.server import serve

from tests.exact import turns
from tests.fakes import run
from tests.servers import scripted
from tests.streaming.harness import MemorySource, stream

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from tests.servers import Client

RUNS = 20


async def out_of_quota(connection: ServerConnection) -> None:
    """Greet, take some audio, send an error, and close at once."""
    await connection.send(json.dumps({"type": "session.created", "event_id": "e1", "session": {}}))
    async for message in connection:
        kind = json.loads(message)["type"]
        if kind == "session.update":
            await connection.send(json.dumps({"type": "session.updated", "event_id": "e2", "session": {}}))
        elif kind == "input_audio_buffer.append":
            error = {"type": "invalid_request_error", "code": "insufficient_quota", "message": "used up"}
            await connection.send(json.dumps({"type": "error", "event_id": "e3", "error": error}))
            await connection.close(1011)
            return


def test_the_reason_wins_over_the_close() -> None:
    """The sender is busy when the close comes; the close alone would lead to a retry."""
    pcm, _ = turns(10)

    async def scenario() -> None:
        async with serve(out_of_quota, "127.0.0.1", 0, compression=None) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
            for _ in range(RUNS):
                result = await stream(url, MemorySource(pcm))
                assert result.summary is not None
                assert (result.summary.exit, result.summary.reconnects) == (4, 0)

    run(scenario(), seconds=40)


@pytest.mark.parametrize("step", ["before session.created", "before session.updated", "behind session.updated"])
@pytest.mark.parametrize("error", [{"type": "invalid_request_error"}, {"type": "server_error", "code": "server_error"}])
def test_an_error_about_the_model_ends_the_run(step: str, error: dict[str, str]) -> None:
    """Whatever the close that follows calls it; a compatible endpoint is asked once more without a model in the URL."""

    async def script(client: Client) -> None:
        if step == "behind session.updated":
            await client.greet()
        elif step == "before session.updated":
            await client.say("session.created", session={})
            await client.until("session.update")
        await client.say("error", error={**error, "message": "Failed to load model strange-1"})
        await client.close(1011, "Internal error")

    with scripted(script) as server:
        result = run(stream(server.url, MemorySource(turns(2)[0])), seconds=20)

    assert server.clients == 2
    assert result.summary.exit == 6
