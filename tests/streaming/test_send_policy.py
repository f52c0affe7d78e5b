"""Runs that do not send all audio: the sent part is complete and at its position, the rest settles as silence."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rt_cli.audio.format import to_ms
from rt_cli.events import ControlChanged, Cost, Errored
from tests.exact import RATE, ExactEndpoint, judge, speech, turns
from tests.fakes import run
from tests.habits import Habits
from tests.streaming.harness import MemorySource, Run, make_streamer, settings, stream, with_turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.events import Summary
    from rt_cli.settings import Settings, TurnDetection
    from rt_cli.streaming.capture.push_to_talk import Command

SECOND = RATE * 2


def facts(result: Run) -> list[tuple[int, str, int | None, int | None]]:
    """All fields of a final."""
    return [(final.turn, final.text, final.start_ms, final.end_ms) for final in result.finals]


def inputs(turn_detection: TurnDetection = "server_vad", **input_: object) -> Settings:
    """Settings with changed input settings."""
    chosen = with_turns(settings(), turn_detection)
    return replace(chosen, input=replace(chosen.input, **input_))


def assert_all_settled(summary: Summary) -> None:
    """All captured audio is settled, however much of it was sent."""
    assert (summary.exit, summary.complete) == (0, True)
    assert summary.ledger.settled == summary.ledger.captured


class TestGate:
    """``--gate``."""

    @pytest.mark.parametrize("turn_detection", ["server_vad", "client"])
    @pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
    def test_finals_are_the_same_and_far_less_is_sent(self, turn_detection: TurnDetection, *, live: bool) -> None:
        """Each turn has the words and, to the millisecond, the position that it has without a gate."""
        pcm, spans = turns(6, speech_ms=500, silence_ms=8000, vary=100)

        async def scenario() -> None:
            async with ExactEndpoint().serving() as endpoint:
                whole = await stream(endpoint.url, MemorySource(pcm, live=live, speed=20), inputs(turn_detection))
                gated = await stream(
                    endpoint.url, MemorySource(pcm, live=live, speed=20), inputs(turn_detection, gate=True)
                )
            assert judge([final.text for final in gated.finals], spans).perfect
            assert facts(gated) == facts(whole)
            assert_all_settled(gated.summary)
            assert whole.summary.gated_ms == 0
            ledger = gated.summary.ledger
            # Each of the three is rounded down.
            left_over = to_ms(ledger.captured + ledger.padding, RATE) - gated.summary.gated_ms - gated.summary.sent_ms
            assert left_over in (0, 1)
            assert gated.summary.sent_ms < 0.3 * whole.summary.sent_ms

        run(scenario(), seconds=60)

    @pytest.mark.parametrize("turn_detection", ["server_vad", "client"])
    def test_connections_come_and_go(self, turn_detection: TurnDetection) -> None:
        """A replay leaves out the same parts, and a gap in the audio is no gap in the ledger."""
        pcm, spans = turns(20, speech_ms=400, silence_ms=1500, vary=200)

        async def scenario() -> None:
            async with ExactEndpoint(Habits(lifetime_s=1.5, announced=False)).serving() as endpoint:
                source = MemorySource(pcm, live=True, speed=8)
                result = await stream(endpoint.url, source, inputs(turn_detection, gate=True))
            assert result.states.count("resumed") >= 2
            assert judge([final.text for final in result.finals], spans).perfect
            assert_all_settled(result.summary)
            assert 0 < result.summary.gated_ms < result.summary.captured_ms

        run(scenario(), seconds=60)

    @pytest.mark.parametrize("turn_detection", ["server_vad", "client", "none"])
    def test_silence_alone_is_never_sent(self, turn_detection: TurnDetection) -> None:
        """The run has no finals and succeeds."""

        async def scenario() -> None:
            async with ExactEndpoint().serving() as endpoint:
                result = await stream(endpoint.url, MemorySource(bytes(60 * SECOND)), inputs(turn_detection, gate=True))
            assert (result.summary.sent_ms, result.finals) == (0, [])
            assert result.summary.gated_ms == result.summary.captured_ms == 60_000
            assert_all_settled(result.summary)

        run(scenario(), seconds=30)


async def controlled(url: str, pcm: bytes, commands: Sequence[tuple[float, Command]], chosen: Settings) -> Run:
    """A live run with commands at inputs seconds of captured audio."""
    result = Run()
    streamer = make_streamer(result, url, MemorySource(pcm, live=True, speed=4), chosen)

    async def press() -> None:
        for at_s, command in commands:
            await streamer.changed.wait_until(lambda at_s=at_s: streamer.tape.captured >= at_s * RATE)
            streamer.obey(command)

    async with asyncio.TaskGroup() as tasks:
        pressing = tasks.create_task(press())
        result.ended = await streamer.run()
        pressing.cancel()
    result.check_story()
    return result


class TestPushToTalk:
    """``--ptt``."""

    @pytest.mark.parametrize("habits", [Habits(), Habits(lifetime_s=1.2, announced=False)], ids=["one", "many"])
    def test_a_turn_for_each_span_of_talking(self, habits: Habits) -> None:
        """On one connection or several; its range follows the keys, pre-roll and post-roll included."""
        pcm = speech(0, 12 * RATE // 2)
        commands: list[tuple[float, Command]] = [(1, "start"), (3, "stop"), (6, "toggle"), (8, "toggle"), (11, "start")]

        async def scenario() -> None:
            async with ExactEndpoint(habits).serving() as endpoint:
                result = await controlled(endpoint.url, pcm, commands, inputs("client", ptt=True))
            changes = [each for each in result.events if isinstance(each, ControlChanged)]
            talks = [change.at_ms for change in changes[1:]]
            wanted = [(talks[0] - 300, talks[1] + 200), (talks[2] - 300, talks[3] + 200), (talks[4] - 300, 12_000)]
            assert changes[0] == ControlChanged(0, muted=False, talking=False)
            assert [(final.start_ms, final.end_ms) for final in result.finals] == wanted
            # Two numbers' worth of rounding: a pair is a twelfth of a millisecond.
            for final, (start, end) in zip(result.finals, wanted, strict=True):
                first, last = (int(number) for number in final.text.replace("?", "").split("-"))
                assert (first, last) == pytest.approx((start * 12, end * 12), abs=24)
            left_out = 12_000 - sum(end - start for start, end in wanted)
            assert result.summary.gated_ms == pytest.approx(left_out, abs=10)
            assert_all_settled(result.summary)

        run(scenario(), seconds=60)

    def test_without_talking_nothing_is_sent(self) -> None:
        """All audio is captured and settled."""

        async def scenario() -> None:
            async with ExactEndpoint().serving() as endpoint:
                result = await controlled(endpoint.url, speech(0, 5 * RATE // 2), [], inputs("client", ptt=True))
            assert (result.summary.sent_ms, result.summary.gated_ms) == (0, 5_000)
            assert_all_settled(result.summary)

        run(scenario(), seconds=30)


def test_muted_is_silence_on_the_wire() -> None:
    """Audio while muted is not even on the tape; the session and the timeline go on."""
    pcm = speech(0, 9 * RATE // 2)

    async def scenario() -> None:
        async with ExactEndpoint(Habits(records=True)).serving() as endpoint:
            result = await controlled(endpoint.url, pcm, [(3, "mute"), (6, "mute")], inputs())
            (call,) = endpoint.calls
        changes = [each for each in result.events if isinstance(each, ControlChanged)]
        silent = range(changes[0].at_ms * 24, changes[1].at_ms * 24)
        received = b"".join(call.audio)
        assert received[: silent.start * 2] == pcm[: silent.start * 2]
        assert received[silent.start * 2 : silent.stop * 2] == bytes(len(silent) * 2)
        assert received[silent.stop * 2 : len(pcm)] == pcm[silent.stop * 2 :]
        assert len(result.finals) == 2
        assert_all_settled(result.summary)

    run(scenario(), seconds=30)


@pytest.mark.parametrize("turn_detection", ["server_vad", "client"])
def test_stop_after_silence(turn_detection: TurnDetection) -> None:
    """The run ends like at the end of the source; shorter pauses do not end it."""
    pcm, spans = turns(3, speech_ms=600, silence_ms=900)

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            source = MemorySource(pcm + bytes(60 * SECOND), live=True, speed=4)
            result = await stream(endpoint.url, source, inputs(turn_detection, stop_after_silence_s=1.5))
        assert judge([final.text for final in result.finals], spans).perfect
        assert 5.0 * RATE <= result.summary.ledger.captured < 30 * RATE
        assert_all_settled(result.summary)

    run(scenario(), seconds=60)


class TestCost:
    """``--max-cost``; a second costs a hundredth."""

    @staticmethod
    def _chosen(limit: float) -> Settings:
        chosen = inputs()
        return replace(
            chosen,
            endpoint=replace(chosen.endpoint, price_per_minute=0.6, currency="EUR"),
            delivery=replace(chosen.delivery, max_cost=limit),
        )

    def test_a_live_source_ends_like_at_its_duration(self) -> None:
        """The limit was configured: a warning, and success."""
        pcm, spans = turns(10)

        async def scenario() -> None:
            async with ExactEndpoint().serving() as endpoint:
                result = await stream(endpoint.url, MemorySource(pcm, live=True, speed=8), self._chosen(0.04))
            assert judge([final.text for final in result.finals], spans[:4]).perfect
            assert result.warnings == ["max_cost"]
            assert result.summary.cost == Cost(0.04, "EUR")
            assert 3_999 <= result.summary.sent_ms <= 4_000
            assert_all_settled(result.summary)

        run(scenario(), seconds=30)

    def test_a_file_is_incomplete(self) -> None:
        """Its rest was never sent, which the exit code must show."""
        pcm, spans = turns(10)

        async def scenario() -> None:
            async with ExactEndpoint().serving() as endpoint:
                result = await stream(endpoint.url, MemorySource(pcm), self._chosen(0.04))
            assert judge([final.text for final in result.finals], spans[:4]).perfect
            assert [each.code for each in result.events if isinstance(each, Errored)] == ["max_cost"]
            assert (result.summary.exit, result.summary.complete) == (7, False)
            assert 3_999 <= result.summary.sent_ms == result.summary.settled_ms <= 4_000

        run(scenario(), seconds=30)

    def test_a_duration_before_the_cost_limit(self) -> None:
        """The cost limit has no effect."""

        async def scenario() -> None:
            chosen = self._chosen(0.04)
            chosen = replace(chosen, input=replace(chosen.input, duration_s=3.0))
            async with ExactEndpoint().serving() as endpoint:
                result = await stream(endpoint.url, MemorySource(turns(10)[0]), chosen)
            assert result.warnings == []
            assert result.summary.sent_ms == 3_000
            assert_all_settled(result.summary)

        run(scenario(), seconds=30)

    def test_a_sufficient_cost_limit_changes_nothing(self) -> None:
        """Up to the last sample."""
        pcm, spans = turns(10)

        async def scenario() -> None:
            async with ExactEndpoint().serving() as endpoint:
                result = await stream(endpoint.url, MemorySource(pcm), self._chosen(0.2))
            assert judge([final.text for final in result.finals], spans).perfect
            assert result.summary.cost == Cost(round(len(pcm) / 2 / RATE / 100, 6), "EUR")
            assert_all_settled(result.summary)

        run(scenario(), seconds=30)
