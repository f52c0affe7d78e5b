"""Audio of replies at a pace: each piece when it is due, on a fake clock and over a real connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rt_cli.server.replies.interface import Audio, Call, Part, ReplyRequest, Text
from rt_cli.server.replies.pace import Paced
from rt_cli.server.replies.registry import open_replier
from tests.fakes import FakeClock, run
from tests.server.client import endpoint
from tests.server.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SOUND = bytes(range(256)) * 75
"""400 ms."""
CALL = Call("call_1", "clock", "{}")


async def timed(replier: Paced, clock: FakeClock) -> list[tuple[float, Part]]:
    """The parts of a reply, each with the seconds since its beginning."""
    began = clock.now()
    return [(round(clock.now() - began, 6), part) async for part in replier.reply(ReplyRequest())]


@pytest.mark.parametrize("speed", [0.5, 1, 4])
def test_each_piece_leaves_when_it_is_due(speed: float) -> None:
    """Sample n leaves n / 24,000 s after the first, divided by the speed; no sample is lost or moved."""
    clock = FakeClock()
    paced = Paced(Scripted(Text("a"), Audio(SOUND), Text("b"), Audio(SOUND[:962]), CALL), speed, clock)
    parts = run(timed(paced, clock))

    audio = [(at, part.pcm) for at, part in parts if isinstance(part, Audio)]
    assert b"".join(pcm for _, pcm in audio) == SOUND + SOUND[:962]
    assert [len(pcm) for _, pcm in audio] == [960] * 20 + [960, 2]
    assert [at for at, _ in audio] == pytest.approx([index * 0.02 / speed for index in range(22)])
    assert [part for _, part in parts if not isinstance(part, Audio)] == [Text("a"), Text("b"), CALL]


def test_late_audio_moves_what_follows() -> None:
    """After a pause of the author the pace goes on from there: no burst."""
    clock = FakeClock()

    class Slow(Scripted):
        async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:  # noqa: ARG002 - interface
            yield Audio(SOUND[:1920])
            clock.time += 3
            yield Audio(SOUND[:1920])

    assert [at for at, _ in run(timed(Paced(Slow(), 1, clock), clock))] == [0, 0.02, 3.02, 3.04]


def test_a_cancelled_reply_ends_the_replier_at_once() -> None:
    """A barge-in during a wait closes the replier behind it; nothing follows."""

    async def scenario() -> list[str]:
        replier = Scripted(Text("a"), Audio(SOUND * 1_000))
        async with endpoint("", replier=Paced(replier, 1)) as client:
            await client.converse()
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            await client.send("response.cancel")
            await client.until("response.done")
            async with asyncio.timeout(1):
                await replier.ended.wait()
            return [event["response"]["status"] for event in client.of("response.done")]

    assert run(scenario()) == ["cancelled"]


def test_real_time_over_a_connection() -> None:
    """600 ms of sound take 580 ms to arrive, in pieces of 20 ms; as fast as possible they take less."""

    async def arrival(speed: float) -> tuple[float, int]:
        async with (
            open_replier("counted", reply_text="ten chars.", speed=speed) as replier,
            endpoint("", replier=replier) as client,
        ):
            await client.converse()
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            began = asyncio.get_running_loop().time()
            await client.until("response.output_audio.done")
            return asyncio.get_running_loop().time() - began, len(client.of("response.output_audio.delta"))

    async def both() -> tuple[tuple[float, int], tuple[float, int]]:
        return await arrival(1), await arrival(float("inf"))

    (real_s, pieces), (burst_s, _) = run(both())
    assert real_s >= 0.57
    assert pieces == 30
    assert burst_s < real_s
