"""Sessions end, the run goes on: by a handover in time or by a reconnect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rt_cli.events import Errored
from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Habits
from tests.rollovers import rollovers, short_lifetimes
from tests.streaming.harness import MemorySource, settings, stream

if TYPE_CHECKING:
    from tests.streaming.harness import Run


def facts(result: Run) -> list[tuple[int, str, int | None, int | None]]:
    """All fields of a final."""
    return [(final.turn, final.text, final.start_ms, final.end_ms) for final in result.finals]


def test_rollovers_are_one_long_session() -> None:
    """The same turns with the same words at the same positions, and no loss."""

    async def scenario() -> None:
        whole, _ = await rollovers(Habits(), count=24, speed=20)
        parts, verdict = await rollovers(Habits(lifetime_s=0.8), count=24)
        assert verdict.perfect
        assert parts.states.count("rolled_over") >= 5
        assert "lost" not in parts.states
        assert facts(parts) == facts(whole)
        assert (parts.summary.exit, parts.summary.complete) == (0, True)

    run(scenario(), seconds=60)


def test_an_expiry_that_comes_anyway_is_a_loss_like_any_other() -> None:
    """A new session gets the audio without finals."""

    async def scenario() -> None:
        result, verdict = await rollovers(Habits(lifetime_s=1.5, announced=False), count=24)
        assert verdict.perfect
        assert result.states.count("resumed") >= 2
        assert "rolled_over" not in result.states
        assert (result.summary.exit, result.summary.complete) == (0, True)

    run(scenario(), seconds=60)


def test_a_turn_without_pause_is_handed_over_at_the_last_moment() -> None:
    """The next session gets a turn that outlives its session again, as a whole."""

    async def scenario() -> None:
        # 5 s at three times real time are longer than a session; replayed fast, not longer than two.
        result, verdict = await rollovers(Habits(lifetime_s=1.5), count=2, speech_ms=5000)
        assert verdict.perfect
        assert "rolled_over" in result.states
        assert "lost" not in result.states
        assert [final.turn for final in result.finals] == [1, 2]
        assert (result.summary.exit, result.summary.complete) == (0, True)

    run(scenario(), seconds=60)


def test_max_session_rolls_over_too() -> None:
    """An endpoint without ``expires_at``."""
    pcm, spans = turns(12, speech_ms=300, silence_ms=300)
    chosen = settings()
    chosen = replace(chosen, delivery=replace(chosen.delivery, max_session_s=1.5))

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            result = await stream(endpoint.url, MemorySource(pcm, live=True, speed=2), chosen)
        assert judge([final.text for final in result.finals], spans).perfect
        assert result.states.count("rolled_over") >= 2

    run(scenario(), seconds=60)


def test_sessions_too_short_for_any_turn_end_the_run() -> None:
    """Audio that can never settle is not sent for ever; the ledger counts it, and the error has a hint."""

    async def scenario() -> Run:
        pcm, _ = turns(1, speech_ms=60_000, silence_ms=300)
        async with ExactEndpoint(Habits(lifetime_s=0.5)).serving() as endpoint:
            source = MemorySource(pcm, live=True, speed=20.0)
            with short_lifetimes():
                return await stream(endpoint.url, source, settings(speed=2.0, catch_up=2.0))

    result = run(scenario(), seconds=60)
    assert result.summary.exit == 5
    assert not result.summary.complete
    assert [each.code for each in result.events if isinstance(each, Errored)] == ["sessions_too_short"]
