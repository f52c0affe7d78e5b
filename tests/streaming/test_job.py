"""Values that a job derives from its settings."""

from __future__ import annotations

import math

import pytest

from rt_cli.protocol.dialects.dialect import SessionRequest
from rt_cli.protocol.endpoint.endpoint import resolve
from rt_cli.settings import DeliverySettings, EndpointSettings, InputSettings, Settings
from rt_cli.streaming.delivery.next_action import ChunkSizes
from rt_cli.streaming.job import Job

RATE_HZ = 24_000
URL = "ws://127.0.0.1:1/v1/realtime"


async def _nothing(*_: object) -> object:
    raise AssertionError("no source is opened")


def job(*, embedded: bool, speed: float | None = None, chunk_ms: int | None = None) -> Job:
    """A job that is never run."""
    settings = Settings(input=InputSettings(chunk_ms=chunk_ms), delivery=DeliverySettings(speed=speed))
    endpoint = resolve(EndpointSettings(url=URL), URL, None, embedded=embedded)
    return Job("nothing", _nothing, endpoint, SessionRequest("server_vad", 24_000), settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("embedded", "configured", "speed"),
    [(True, None, math.inf), (False, None, 1.0), (True, 2.0, 2.0), (False, math.inf, math.inf)],
)
def test_speed(configured: float | None, speed: float, *, embedded: bool) -> None:
    """The embedded endpoint gets a file at full speed, a remote one at real time, unless configured."""
    assert job(embedded=embedded, speed=configured).speed == speed


@pytest.mark.parametrize(
    ("live", "asked_speed", "chunk_ms", "sizes"),
    [
        pytest.param(True, None, None, (960, 24_000), id="microphone"),
        pytest.param(False, 1.0, None, (2400, 24_000), id="file in real time"),
        pytest.param(False, 4.0, None, (12_000, 24_000), id="file faster than that"),
        pytest.param(False, 4.0, 20, (480, 480), id="as asked"),
        pytest.param(True, None, 1000, (24_000, 24_000), id="as asked, live"),
    ],
)
def test_chunk_sizes(asked_speed: float | None, chunk_ms: int | None, sizes: tuple[int, int], *, live: bool) -> None:
    """40 ms live, 100 ms of a file, 500 ms of a faster file; up to a second if more waits."""
    chosen = job(embedded=False, speed=asked_speed, chunk_ms=chunk_ms).chunk_sizes(RATE_HZ, live=live)
    assert chosen == ChunkSizes(*sizes)
