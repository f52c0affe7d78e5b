"""An endpoint that refuses audio faster than real time gets it at real time, without a loss."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rt_cli.events import Warned
from rt_cli.protocol.error_policy import classify_close
from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.streaming.harness import MemorySource, settings, stream

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection


class Strict(ExactEndpoint):
    """An endpoint that closes its first connection because of its speed."""

    async def _call(self, connection: ServerConnection) -> None:
        if self.calls:
            self.began = asyncio.get_running_loop().time()
            await super()._call(connection)
            self.took = asyncio.get_running_loop().time() - self.began
            return
        self.calls.append(None)  # type: ignore[arg-type]
        await connection.send(json.dumps({"type": "session.created", "event_id": "e1", "session": {}}))
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "session.update":
                await connection.send(json.dumps({"type": "session.updated", "event_id": "e2", "session": {}}))
            elif event["type"] == "input_audio_buffer.append":
                await connection.close(3007, "Audio Transmission Rate Exceeded")
                return


def test_after_the_refusal_the_run_is_at_real_time() -> None:
    """One warning; the rest of the run is no faster than real time, except for the first second."""
    pcm, spans = turns(4)
    chosen = settings()
    chosen = replace(chosen, delivery=replace(chosen.delivery, catch_up=20.0))

    async def scenario() -> None:
        endpoint = Strict()
        async with endpoint.serving():
            result = await stream(endpoint.url, MemorySource(pcm), chosen)
        warnings = [each.code for each in result.events if isinstance(each, Warned)]
        assert judge([final.text for final in result.finals], spans).perfect
        assert warnings.count("too_fast") == 1
        assert endpoint.took >= len(pcm) / 2 / 24_000 - 1.1

    run(scenario(), seconds=30)


@pytest.mark.parametrize(
    ("code", "reason"), [(3007, ""), (1008, "audio sent too fast"), (4002, "Sound came faster than real-time.")]
)
def test_forms_of_the_refusal(code: int, reason: str) -> None:
    """The code of AssemblyAI, or words."""
    assert classify_close(code, reason).code == "too_fast"
