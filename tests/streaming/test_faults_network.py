"""Slow and narrow networks, segments of one byte, and a blocked event loop."""

from __future__ import annotations

import asyncio
import time

import pytest

from rt_cli.events import Progress
from rt_cli.streaming.timing.suspend import Suspended
from tests.exact import ExactEndpoint, Verdict, judge, turns
from tests.fakes import run
from tests.proxy import Fault, Proxy
from tests.servers import Client, polite, scripted
from tests.streaming.harness import MemorySource, Run, make_streamer, settings, stream, with_turns

SOUND, _ = turns(3)


async def through(fault: Fault, seconds: int) -> tuple[Run, Verdict]:
    """A live source, at real time, through a network with a fault."""
    pcm, spans = turns(seconds)
    proxy = Proxy(lambda _number: fault)
    async with ExactEndpoint().serving() as endpoint, proxy.serving(endpoint.port):
        chosen = settings(drain_timeout_s=20.0, connect_timeout_s=15.0, catch_up=20.0)
        result = await stream(f"ws://127.0.0.1:{proxy.port}/v1", MemorySource(pcm, live=True), chosen)
    return result, judge([final.text for final in result.finals], spans)


def lags_ms(result: Run) -> list[int]:
    """Captured and unacknowledged audio, ten times a second."""
    return [each.lag_ms for each in result.events if isinstance(each, Progress)]


@pytest.mark.parametrize(
    ("kb_per_s", "narrow"),
    [
        pytest.param(32, True, id="half of what is needed", marks=pytest.mark.long),
        pytest.param(128, False, id="twice", marks=pytest.mark.long),
        pytest.param(64, True, id="almost enough", marks=pytest.mark.long),
        pytest.param(70, False, id="just enough", marks=pytest.mark.long),
    ],
)
def test_bandwidth(kb_per_s: int, narrow: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """With too little bandwidth the lag grows and all audio is late; with enough the lag stays below a second."""
    result, verdict = run(through(Fault(bytes_per_s=kb_per_s * 1000), 4 if kb_per_s in {32, 128} else 20), seconds=90)

    assert verdict.perfect
    assert result.summary.complete
    assert "lost" not in result.states
    if kb_per_s == 32:
        assert max(lags_ms(result)) >= 1500
    if not narrow:
        assert max(lags_ms(result)[10:]) <= 1500


@pytest.mark.parametrize(
    ("delay_s", "seconds"),
    [
        pytest.param(0.025, 3, marks=pytest.mark.long),
        pytest.param(0.15, 3, marks=pytest.mark.long),
        pytest.param(0.5, 10, marks=pytest.mark.long),
        pytest.param(1.5, 20, marks=pytest.mark.long),
    ],
)
def test_latency(delay_s: float, seconds: int) -> None:
    """Per direction, half of it jitter: no connection is lost, and a minute takes a minute.

    With round trips of seconds that double from one to the next, the endpoint may seem stalled for a while.
    """
    result, verdict = run(through(Fault(delay_s=delay_s, jitter=0.5), seconds), seconds=90)

    assert verdict.perfect
    assert "lost" not in result.states
    assert delay_s > 1 or "stalled" not in result.states
    # Opening, configuring, the last words and the close take a few round trips.
    assert result.summary.wall_ms <= (seconds + 10 * delay_s + 2) * 1000


def test_single_bytes() -> None:
    """Every byte in its own segment, in both directions."""
    result, verdict = run(through(Fault(slice=1), 2), seconds=60)

    assert verdict.perfect
    assert "lost" not in result.states


@pytest.mark.parametrize(("mib", "sessions"), [(16, 1), (40, 2)], ids=["large", "too large"])
def test_large_messages(mib: int, sessions: int) -> None:
    """Messages of 16 MiB are ignored; a larger one ends the session, not the run."""
    served = 0

    async def script(client: Client) -> None:
        nonlocal served
        served += 1
        await client.greet()
        if served == 1:
            await client.say("something.large", audio="x" * mib * 2**20)
        await client.until("input_audio_buffer.commit")
        await client.complete(await client.commit(), "all of it")
        await client.until("nothing")

    async def scenario(url: str) -> Run:
        return await stream(url, MemorySource(SOUND), with_turns(settings(speed=3.0), "none"))

    with scripted(script) as server:
        result = run(scenario(server.url), seconds=30)
    assert ([final.text for final in result.finals], result.summary.exit) == (["all of it"], 0)
    assert server.clients == sessions


@pytest.mark.parametrize("seconds", [2.0, pytest.param(5.0, marks=pytest.mark.long)])
def test_a_held_up_loop_loses_no_connection(seconds: float) -> None:
    """The lag is reported, the endpoint does not count as dead, and every sample arrives."""

    async def scenario(url: str) -> Run:
        result = Run()
        chosen = with_turns(settings(), "none")
        streaming = asyncio.create_task(make_streamer(result, url, MemorySource(SOUND, live=True), chosen).run())
        await asyncio.sleep(1)
        time.sleep(seconds)  # noqa: ASYNC251 - that is the fault
        result.ended = await streaming
        return result

    with scripted(polite("all of it")) as server:
        result = run(scenario(server.url), seconds=30)
    assert (result.summary.exit, result.states) == (0, ["ready", "closed"])
    assert server.audio == SOUND
    assert "loop_lag" in result.warnings


def test_a_machine_that_slept_connects_anew() -> None:
    """The next session gets the audio without finals again."""
    pcm, spans = turns(4)

    async def scenario() -> tuple[Run, Verdict]:
        result = Run()
        async with ExactEndpoint().serving() as endpoint:
            streamer = make_streamer(result, endpoint.url, MemorySource(pcm, live=True, speed=2), settings())
            streaming = asyncio.create_task(streamer.run())
            await asyncio.sleep(1)
            streamer.on_lag_or_suspend(Suspended(60.0))
            result.ended = await streaming
        return result, judge([final.text for final in result.finals], spans)

    result, verdict = run(scenario(), seconds=30)
    assert verdict.perfect
    assert result.states == ["ready", "lost", "resumed", "closed"]
    assert "suspended" in result.warnings
