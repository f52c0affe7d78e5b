"""Sessions in worker processes: nothing that was measured is lost on the way, and nothing of a process that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.bench.histogram import Histogram
from rt_cli.bench.level import SessionResult, Tally, merge, take, tally
from rt_cli.bench.levels import LevelPlan, LoadLevels, Place
from rt_cli.bench.limits import exit_code
from rt_cli.bench.recording import Recording
from rt_cli.bench.workers import count, worker
from rt_cli.bench.workers.engine import LoadEngine
from rt_cli.bench.workers.job import BenchJob
from rt_cli.bench.workers.messages import HEADER, Ended, Interrupt, Measured, Poll, Ready, Start, frame, parse
from rt_cli.bench.workers.pool import open_workers
from rt_cli.clock import SystemClock
from rt_cli.errors import UsageError
from rt_cli.run.plan import endpoint_of, make_plan
from rt_cli.settings import DeliverySettings, EndpointSettings, Settings
from tests.bench.levels import session_result
from tests.servers import nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARTS = st.lists(st.lists(st.floats(0, 1e7, allow_subnormal=False), max_size=40), min_size=1, max_size=6)
SHARES = (0.01, 0.5, 0.95, 0.99, 1.0)


def filled(values: Sequence[float]) -> Histogram:
    """A histogram of values."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def figures(histogram: Histogram) -> tuple[object, ...]:
    """Everything that is said of a histogram."""
    return histogram.n, histogram.curve(), *(histogram.percentile(share) for share in SHARES)


@given(PARTS)
def test_merging_is_exact(parts: list[list[float]]) -> None:
    """The histograms of parts, merged in any order, say what one histogram of all values says."""
    whole = filled([value for part in parts for value in part])
    for order in (parts, parts[::-1]):
        merged = Histogram()
        for part in order:
            merged.merge(parse(frame(filled(part))[HEADER.size :]))
        assert figures(merged) == figures(whole)


@given(PARTS)
def test_reports_add_up(parts: list[list[float]]) -> None:
    """What is taken from a tally piece by piece is all that was added to it, each value once."""
    measures, sum_ = tally(["final"]), tally(["final"])
    for part in parts:
        for value in part:
            measures["final"].add(value)
        merge(sum_, take(measures))
    assert figures(sum_["final"]) == figures(filled([value for part in parts for value in part]))
    assert measures["final"].n == 0


class ScriptedSession:
    """Measures its number, and ends when it is interrupted or told to."""

    def __init__(self, place: Place, measures: Tally) -> None:
        self.place = place
        self.codes: list[int] = []
        self._measures = measures
        self._end = asyncio.Event()

    async def run(self) -> SessionResult | None:
        """Measure, and wait for the end."""
        self._measures["final"].add(self.place.number)
        await self._end.wait()
        return session_result()

    def interrupt(self, exit_code: int) -> None:
        """End."""
        self.codes.append(exit_code)
        self._end.set()


async def until(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until a condition holds."""
    while not condition():  # noqa: ASYNC110 - tasks of one loop, without time
        await asyncio.sleep(0)


def test_engine_reports_before_each_result() -> None:
    """A poll is answered at once; what a session measured is reported before its end, each value once."""

    async def main() -> list[object]:
        sent: list[object] = []
        queue = asyncio.Queue[Start | Interrupt | Poll]()
        engine = LoadEngine(ScriptedSession, ["final"], SystemClock(), sent.append)
        async with asyncio.timeout(10):
            running = asyncio.create_task(engine.run(queue))
            for request in (Start(7, 3, 1, 0.5), Start(8, 5, 1, 0.5)):
                queue.put_nowait(request)
            await until(lambda: len(asyncio.all_tasks()) == 4)
            for request in (Poll(), Interrupt(7, 130), Interrupt(99, 130)):
                queue.put_nowait(request)
            await until(lambda: isinstance(sent[-1], Ended))
            running.cancel()
            await asyncio.wait([running])
        return sent

    ready, polled, last, ended = asyncio.run(main())
    assert isinstance(ready, Ready)
    assert isinstance(polled, Measured)
    assert isinstance(last, Measured)
    assert isinstance(ended, Ended)
    assert (polled.measures["final"].n, polled.measures["final"].percentile(1)) == (2, 5)
    assert last.measures["final"].n == 0
    assert ended.session == 7


def test_lost_session_ends_its_slot() -> None:
    """Of three slots the second one loses its process: one session lost, the level does not hold, exit 7."""

    class Session(ScriptedSession):
        async def run(self) -> SessionResult | None:
            return None if self.place.number == 2 else session_result()

    def ignore(*_: object) -> None:
        pass

    cpus = iter([[1.0, 5.0], [2.0, 9.0]] * 1000)
    plan = LevelPlan([3, 4], rounds=2, spread_s=0, limits=[])
    levels = asyncio.run(LoadLevels(plan, Session, SystemClock(), ignore, lambda: next(cpus)).run())

    (level,) = levels
    assert (level.started, level.finished, level.failed, level.lost) == (5, 4, 0, 1)
    assert exit_code([], levels) == 7
    assert list(level.cpus_s) == [1, 4]
    assert level.client_cpu == pytest.approx(4 / level.wall_s)
    assert level.clients_cpu == pytest.approx(5 / level.wall_s)


@pytest.mark.parametrize(
    ("asked", "cores", "here", "sessions", "expected"),
    [
        (None, 8, False, 100, 8),
        (None, 8, True, 100, 7),
        (None, 8, True, 3, 3),
        (None, 1, True, 100, 1),
        (3, 2, True, 100, 3),
        (3, 2, True, 2, 2),
    ],
)
def test_worker_count(asked: int | None, cores: int, here: bool, sessions: int, expected: int) -> None:  # noqa: FBT001
    """A process per core; one core is left to an endpoint on the same machine; never more than sessions."""
    found = count.worker_count(asked, cores=cores, endpoint_here=here, sessions=sessions)
    assert found == expected


def test_one_process_keeps_a_limit_on_the_cost() -> None:
    """The bill of a limit is in one process; to ask for several is an error."""
    assert count.worker_count(None, cores=8, endpoint_here=False, sessions=9, cost_limited=True) == 1
    with pytest.raises(UsageError):
        count.worker_count(2, cores=8, endpoint_here=False, sessions=9, cost_limited=True)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("ws://127.0.0.1:9/v1/realtime", True),
        ("ws://[::1]:9/v1/realtime", Path("/proc/net/if_inet6").exists()),
        ("ws://192.0.2.1:9/v1/realtime", False),
        ("ws://no-such-host.invalid/v1/realtime", False),
    ],
)
def test_where_an_endpoint_is(url: str, here: bool) -> None:  # noqa: FBT001
    """An address that can be bound is one of this machine."""
    assert asyncio.run(count.is_here(url)) is here


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_process_that_does_not_answer_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process ends with its session, which is lost; the other one runs on, and none is left."""
    monkeypatch.setattr(worker, "POLL_S", 0.1)
    monkeypatch.setattr(worker, "MOST_UNANSWERED", 20)
    lost: list[str] = []

    def children() -> set[int]:
        text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="ascii")
        return {int(pid) for pid in text.split()}

    async def main(job: BenchJob) -> tuple[SessionResult | None, ...]:
        clock, before = SystemClock(), children()
        async with asyncio.timeout(60), open_workers(job, 2, clock, lost.append) as pool:
            first, second = sorted(children() - before)
            os.kill(first, signal.SIGSTOP)
            sessions = [pool.open(Place(number, 1, clock.now()), tally()) for number in (1, 2)]
            results = await asyncio.gather(*(session.run() for session in sessions))
            (line,) = lost
            assert line.endswith("of 2 ended (no answer for 2 s): 1 session lost")
        assert not children() & {first, second}
        return tuple(results)

    with nobody() as server:
        settings = Settings(endpoint=EndpointSettings(url=server.url, model="whisper-1"))
        plan = make_plan(settings, {})
        endpoint = endpoint_of(settings, None, server.url, None)
        recording = Recording("silence", bytes(2400), 24_000)
        settings = replace(settings, delivery=DeliverySettings(retry_for_s=0.0))
        one, other = asyncio.run(main(BenchJob(endpoint, plan.session, settings, [recording], chunk_ms=40)))
    (result,) = [result for result in (one, other) if result is not None]
    assert result.error == "connection_refused"
