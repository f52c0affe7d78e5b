"""An endpoint that is away, or too slow, for longer than live audio may wait: the drops, exact to the sample."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rt_cli.events import Errored, Noted
from tests.exact import RATE, ExactEndpoint, Verdict, judge, turns
from tests.fakes import run
from tests.proxy import Fault, Proxy
from tests.servers import Client, scripted
from tests.streaming.harness import MemorySource, Run, make_streamer, settings, with_turns

if TYPE_CHECKING:
    from rt_cli.settings import OnFull, Settings, TurnDetection

LIMIT_S = 2.0
SPEED = 4.0
"""Of a source that does not wait, so that a minute is short."""
SOUND, SPANS = turns(12, speech_ms=600, silence_ms=400)
WIRE_BYTES_PER_S = 64_000
"""Of sound at its speed, as base64."""
DETECTIONS: list[TurnDetection] = ["server_vad", "client", "none"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, and the audio that the endpoint received."""

    run: Run
    verdict: Verdict
    connections: int

    @property
    def dropped(self) -> int:
        """Samples reported as dropped."""
        return sum(each.end_ms - each.start_ms for each in self.run.dropped) * RATE // 1000

    def check(self) -> None:
        """Audio without a final was reported as dropped; the rest has one final, in order, at its position."""
        samples, is_dropped = np.frombuffer(SOUND, dtype="<i2"), np.zeros(len(SOUND) // 2, dtype=bool)
        for each in self.run.dropped:
            at = slice(each.start_ms * RATE // 1000, each.end_ms * RATE // 1000)
            assert not is_dropped[at].any()
            is_dropped[at] = True
        captured = self.run.summary.ledger.captured
        spoken = samples.astype(bool)
        missing = np.count_nonzero(spoken[:captured] & is_dropped[:captured]) + np.count_nonzero(spoken[captured:])
        assert self.verdict == Verdict(missing // 2, 0, 0, 0)
        assert self.dropped == self.run.summary.ledger.dropped
        assert self.run.summary.ledger.settled == captured - self.dropped
        for final in filter(lambda final: final.text, self.run.finals):
            first = int(final.text.split("-")[0])
            assert (final.start_ms or 0) <= _at_ms(first) < (final.end_ms or 0)
            assert not is_dropped[(final.start_ms or 0) * RATE // 1000]


def _at_ms(pair: int) -> float:
    turn, within = divmod(pair, len(SPANS[0]))
    return turn * 1000 + within * 2000 / RATE


async def through(
    proxy: Proxy, chosen: Settings, *, away: tuple[float, float] | None = None, live: bool = True
) -> Outcome:
    """Run through a proxy that refuses all connections for a while; times in seconds of the clock."""
    result = Run()
    async with ExactEndpoint().serving() as endpoint, proxy.serving(endpoint.port):
        url = f"ws://127.0.0.1:{proxy.port}/v1"
        source = MemorySource(SOUND, live=live, speed=SPEED)
        streamer = make_streamer(result, url, source, chosen, memory_s=LIMIT_S)
        streaming = asyncio.create_task(streamer.run())
        if away is not None:
            await asyncio.sleep(away[0])
            proxy.refuse()
            await asyncio.sleep(away[1])
            proxy.heal()
        result.ended = await streaming
    result.check_story()
    return Outcome(result, judge([final.text for final in result.finals], SPANS), proxy.connections)


def chosen(on_full: OnFull, detection: TurnDetection = "server_vad", **delivery: object) -> Settings:
    """Waiting audio is sent at full speed."""
    return with_turns(settings(catch_up=float("inf"), on_full=on_full, **delivery), detection)


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on every temporary file."""

    def refused(**_options: object) -> None:
        raise AssertionError("sound was to go to disk")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)


@pytest.mark.usefixtures("no_files")
def test_after_an_outage_the_newest_audio_is_sent() -> None:
    """One gap, reported in two parts; the waiting audio is sent, and no file was written."""
    outcome = run(through(Proxy(), chosen("drop-oldest"), away=(0.6, 1.2)), seconds=30)
    result = outcome.run

    outcome.check()
    assert outcome.dropped >= 1.2 * SPEED * RATE / 2
    assert [each.reason for each in result.dropped] == ["full"] * 2
    assert result.dropped[0].end_ms == result.dropped[1].start_ms
    assert (result.summary.exit, result.summary.complete) == (7, False)
    assert result.finals[-1].end_ms is not None
    assert result.finals[-1].end_ms >= 11_600


@pytest.mark.usefixtures("no_files")
def test_an_endpoint_that_is_too_slow_misses_a_piece_now_and_then() -> None:
    """On one connection: gaps of a second or more, with intelligible audio between."""
    fault = Fault(bytes_per_s=WIRE_BYTES_PER_S * SPEED / 2)
    outcome = run(through(Proxy(lambda _: fault), chosen("drop-oldest", "client")), seconds=30)
    gaps = [each for each in outcome.run.dropped if each.start_ms not in {one.end_ms for one in outcome.run.dropped}]

    outcome.check()
    assert outcome.run.states.count("ready") == 1
    assert outcome.connections == 1
    assert gaps
    assert not any(" " in final.text for final in outcome.run.finals)
    assert all(gap.end_ms - gap.start_ms >= 1000 for gap in gaps)


def test_spool_drops_nothing() -> None:
    """The default: no audio is dropped, whatever the memory."""
    outcome = run(through(Proxy(), chosen("spool"), away=(0.6, 1.2)), seconds=30)

    assert outcome.verdict.perfect
    assert (outcome.run.summary.exit, outcome.run.dropped) == (0, [])


@pytest.mark.parametrize("on_full", ["drop-oldest", "fail"])
def test_a_file_drops_nothing_under_any_policy(on_full: OnFull) -> None:
    """A file can wait, so none of its audio is too old, not even after a loss."""
    cut = Proxy(lambda number: Fault(cut_after=400_000) if number == 0 else Fault())
    outcome = run(through(cut, chosen(on_full, "none"), live=False), seconds=30)

    assert outcome.verdict.perfect
    assert (outcome.run.summary.exit, outcome.run.dropped) == (0, [])


@pytest.mark.usefixtures("no_files")
def test_silence_left_out_by_the_gate_is_not_dropped() -> None:
    """An endpoint that is away during silence misses nothing."""
    gated = chosen("drop-oldest", "client")
    gated = replace(gated, input=replace(gated.input, gate=True))
    pcm = turns(1)[0] + bytes(2 * 10 * RATE) + turns(1)[0]
    result, proxy = Run(), Proxy()

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint, proxy.serving(endpoint.port):
            url = f"ws://127.0.0.1:{proxy.port}/v1"
            streamer = make_streamer(result, url, MemorySource(pcm, live=True, speed=SPEED), gated, memory_s=LIMIT_S)
            streaming = asyncio.create_task(streamer.run())
            await asyncio.sleep(0.8)
            proxy.refuse()
            await asyncio.sleep(1.4)
            proxy.heal()
            result.ended = await streaming

    run(scenario(), seconds=30)
    assert (result.summary.exit, result.summary.complete, result.dropped) == (0, True, [])
    assert result.summary.reconnects == 1
    assert len(result.finals) == 2
    assert result.summary.gated_ms > 5_000


def test_dropped_audio_is_no_progress() -> None:
    """Three connections without progress end the run, however much audio was dropped meanwhile."""

    async def greets_and_drops(client: Client) -> None:
        await client.greet()
        await client.close(1012, "restart")

    async def scenario() -> Run:
        result = Run()
        source = MemorySource(SOUND * 3, live=True, speed=20)
        result.ended = await make_streamer(result, server.url, source, chosen("drop-oldest"), memory_s=0.5).run()
        return result

    with scripted(greets_and_drops) as server:
        result = run(scenario(), seconds=30)
    assert server.clients == 3
    assert (result.summary.exit, result.summary.ledger.settled) == (5, 0)
    assert result.dropped
    assert result.summary.ledger.dropped == sum(each.end_ms - each.start_ms for each in result.dropped) * RATE // 1000


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize("detection", DETECTIONS)
def test_fail_delivers_the_captured_audio(detection: TurnDetection) -> None:
    """Capture ends as soon as too much waits, with a report at once; the endpoint comes back and gets all of it."""
    outcome = run(through(Proxy(), chosen("fail", detection, drain_timeout_s=8.0), away=(0.3, 1.4)), seconds=30)
    result = outcome.run

    outcome.check()
    assert result.dropped == []
    assert result.finals
    assert [each.code for each in result.events if isinstance(each, Errored)] == ["full"]
    assert any(isinstance(each, Noted) and each.message.startswith("more than 2 s") for each in result.events)
    assert (result.summary.exit, result.summary.complete) == (5, False)
    assert 2 * RATE < result.summary.ledger.captured < len(SOUND) // 2


def test_fail_waits_as_long_as_after_a_signal() -> None:
    """The endpoint stays away: one error, the one that ended capture, and the ledger of the captured audio."""
    outcome = run(through(Proxy(), chosen("fail", drain_timeout_s=1.0), away=(0.3, 4.0)), seconds=30)
    summary = outcome.run.summary

    assert [each.code for each in outcome.run.events if isinstance(each, Errored)] == ["full"]
    assert (summary.exit, summary.complete, outcome.run.dropped) == (5, False, [])
    assert summary.wall_ms < 4000
    assert 2 * RATE < summary.ledger.waiting <= summary.ledger.captured


def test_dropped_audio_costs_nothing() -> None:
    """Only audio that waits to be sent counts towards the cost limit: an outage does not end the run.

    How long the outage is depends on when the next try comes; at least a fifth of the audio is dropped.
    """
    limit_s = 11.5
    limited = chosen("drop-oldest", max_cost=limit_s / 100)
    limited = replace(limited, endpoint=replace(limited.endpoint, price_per_minute=0.6))
    outcome = run(through(Proxy(), limited, away=(0.6, 1.2)), seconds=30)
    summary = outcome.run.summary

    outcome.check()
    assert summary.ledger.captured == len(SOUND) // 2 > limit_s * RATE
    assert summary.sent_ms <= limit_s * 1000
