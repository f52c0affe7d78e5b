"""The rules of the sender."""

from __future__ import annotations

import asyncio
import logging
import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.streaming.delivery.sender import Pace, RoundTrips, Sender, window_s
from tests.fakes import FakeClock, Peer, run
from tests.memory import held, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RATE = 24_000
CHUNK = 960
SCHEDULES = 10_000


def make(peer: Peer, kind: type[Sender] = Sender) -> Sender:
    """A sender to a fake peer."""
    return kind(peer, FakeClock(), rate_hz=RATE)


async def send_one(sender: Sender, message: bytes) -> None:
    """Send a stream of one chunk."""
    async with sender.stream():
        await sender.audio([message], CHUNK)


async def settle(turns: int = 20) -> None:
    """Run the loop until no task can go on."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def random_schedule(seed: int, kind: type[Sender] = Sender) -> None:
    """Success, error and cancellation at random moments; then the sender must work as a new one."""
    chance = random.Random(seed)
    peer = Peer()
    sender = make(peer, kind=kind)
    tasks = []
    for index in range(chance.randint(2, 6)):
        peer.pauses = chance.randint(0, 3)
        peer.fail_next = peer.fail_next or chance.random() < 0.2
        tasks.append(asyncio.create_task(operation(sender, chance.randint(0, 4), index)))
        if chance.random() < 0.2:
            tasks[-1].cancel()  # already cancelled when it first runs, and so when it lets go
        await settle(chance.randint(0, 4))
        if chance.random() < 0.5:
            chance.choice(tasks).cancel()
    for task in tasks:
        if chance.random() < 0.3:
            await settle(chance.randint(0, 3))
            task.cancel()
    await asyncio.wait(tasks, timeout=2)
    assert all(task.done() for task in tasks), "a caller hangs"
    peer.fail_next, peer.pauses = False, 0
    try:
        async with asyncio.timeout(2):
            await sender.aclose()
            await use(sender)
    except TimeoutError:
        pytest.fail("the next send does not work")
    assert peer.log[-1] == b"last", "the last message is not the last"
    assert peer.most_writers == 1, "two writers at once"
    for lock in (each for each in held(sender) if isinstance(each, asyncio.Semaphore)):
        assert not lock.locked(), "a lock is held"
        await lock.acquire()
        assert lock.locked(), "a lock has more permits than one"
        lock.release()


async def use(sender: Sender) -> None:
    """Send one more message of each kind; an error of an earlier caller is raised once."""
    try:
        await send_one(sender, b"next")
    except ConnectionError:
        await send_one(sender, b"next")
    await send_one(sender, b"next")
    await sender.control(b"last")


async def operation(sender: Sender, kind: int, index: int) -> None:
    """One of the ways to use a sender."""
    message = b"%d" % index
    if kind == 0:
        await send_one(sender, message)
    elif kind == 1:
        await sender.control(message)
    else:
        async with sender.stream():
            for turn in range(kind):
                if turn % 2 and sender.free(CHUNK):
                    sender.audio_at_once([message], CHUNK)
                else:
                    await sender.audio([message], CHUNK)


def try_schedules(kind: type[Sender], seeds: range) -> None:
    """Run many schedules in one loop; the first that breaks a rule raises."""

    async def scenario() -> None:
        for seed in seeds:
            await random_schedule(seed, kind)

    run(scenario(), seconds=120)


def test_ten_thousand_random_schedules_leave_the_sender_as_good_as_new() -> None:
    """Success, error, cancellation at any await point: permits constant, one writer, the next send works."""
    loop_log = logging.getLogger("asyncio")
    loop_log.disabled = True  # an orphaned write's error is collected by the next caller, or by nobody at the end
    try:
        try_schedules(Sender, range(SCHEDULES))
    finally:
        loop_log.disabled = False


class SkippedRelease(Sender):
    """Planted: an error leaves the lane taken, like a flag that one path never clears."""

    async def _write(self, messages: Sequence[bytes] = (), samples: int = 0) -> None:
        await self._lane.acquire()
        self.sent += samples
        await (self._transport.send(messages) if messages else self._write_ping())
        self._lane.release()


class DoubleRelease(Sender):
    """Planted: the lane is released although its wait was cancelled and it was never taken."""

    async def _write(self, messages: Sequence[bytes] = (), samples: int = 0) -> None:
        try:
            await self._lane.acquire()
            self.sent += samples
            await (self._transport.send(messages) if messages else self._write_ping())
        finally:
            asyncio.Semaphore.release(self._lane)  # unchecked: the lane's own release() refuses


class CancellableRelease(Sender):
    """Planted: an await before the release, which a cancelled caller never gets past."""

    async def _write(self, messages: Sequence[bytes] = (), samples: int = 0) -> None:
        await self._lane.acquire()
        try:
            self.sent += samples
            await (self._transport.send(messages) if messages else self._write_ping())
        finally:
            await asyncio.sleep(0)
            self._lane.release()


class CancelledWrite(Sender):
    """Planted: the lane is released while the write of a cancelled caller is still unfinished."""

    async def _wait_for_write(self) -> None:
        writing, self._write_task = self._write_task, None
        if writing is not None:
            await asyncio.wait((writing,))


@pytest.mark.parametrize(
    "planted", [SkippedRelease, DoubleRelease, CancellableRelease, CancelledWrite], ids=lambda kind: kind.__name__
)
@pytest.mark.filterwarnings("ignore")
def test_planted_faults_are_found(planted: type[Sender]) -> None:
    """Each fault known from other projects makes the random schedules fail."""
    with pytest.raises((AssertionError, pytest.fail.Exception, TimeoutError)):  # type: ignore[arg-type]
        try_schedules(planted, range(300))


def test_a_caller_cancelled_in_its_release_path_frees_the_lane() -> None:
    """The cancellation of the caller is pending while the release runs."""

    async def scenario() -> None:
        peer = Peer()
        sender = make(peer)
        peer.pauses = 3

        async def caller() -> None:
            task = asyncio.current_task()
            assert task is not None
            try:
                await send_one(sender, b"first")
            finally:
                assert task.cancelling()

        task = asyncio.create_task(caller())
        await settle(2)
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()
        await send_one(sender, b"second")
        assert peer.log == [b"first", b"second"]

    run(scenario())


def test_a_write_outlives_its_caller_and_the_next_one_waits_for_it() -> None:
    """A cancelled send is delivered anyway, once, and never beside another."""

    async def scenario() -> None:
        peer = Peer()
        peer.pauses = 10
        sender = make(peer)
        first = asyncio.create_task(sender.control(b"first"))
        await settle(3)
        first.cancel()
        await asyncio.wait((first,), timeout=1)
        assert first.cancelled()
        assert peer.log == []
        await sender.control(b"second")
        assert peer.log == [b"first", b"second"]
        assert peer.most_writers == 1

    run(scenario())


def test_a_write_without_waiting_takes_no_loop_iteration() -> None:
    """If the connection takes a message at once, the sender starts no task for it."""

    async def scenario() -> None:
        peer = Peer()
        sending = make(peer).audio([b"audio"], CHUNK)

        with pytest.raises(StopIteration):
            sending.send(None)  # a coroutine run by hand, to its first wait
        assert peer.log == [b"audio"]

    run(scenario())


def test_at_once_never_overtakes_a_waiting_caller() -> None:
    """Sending at once needs a free lane and no unfinished write; otherwise nothing happens."""

    async def scenario() -> None:
        peer = Peer()
        peer.pauses = 2
        sender = make(peer)
        waiting = asyncio.create_task(sender.control(b"commit"))
        await settle(1)
        assert not sender.free(CHUNK)
        await waiting
        assert not sender.free(CHUNK)  # the connection takes nothing without waiting
        peer.pauses = 0
        assert sender.free(CHUNK)
        sender.audio_at_once([b"audio"], CHUNK)
        assert (peer.log, sender.sent) == ([b"commit", b"audio"], CHUNK)

    run(scenario())


def test_at_once_keeps_to_the_window() -> None:
    """Audio beyond the window is not sent."""

    async def scenario() -> None:
        peer = Peer()
        peer.answers = False
        sender = make(peer)
        assert sender.free(sender.window)
        sender.audio_at_once([b"all"], sender.window)
        assert not sender.free(1)
        assert peer.log == [b"all", b"ping"]

    run(scenario())


def test_a_waiting_caller_can_be_cancelled_without_a_trace() -> None:
    """A caller that waits for the lane leaves no state behind."""

    async def scenario() -> None:
        peer = Peer()
        peer.pauses = 10
        sender = make(peer)
        first = asyncio.create_task(sender.control(b"first"))
        second = asyncio.create_task(sender.control(b"second"))
        await settle(3)
        second.cancel()
        await asyncio.wait((first, second))
        await sender.control(b"third")
        assert peer.log == [b"first", b"third"]

    run(scenario())


def test_the_lane_is_first_come_first_served() -> None:
    """A commit never overtakes the audio before it."""

    async def scenario() -> None:
        peer = Peer()
        peer.pauses = 2
        sender = make(peer)
        wanted = [b"%d" % index for index in range(20)]
        await asyncio.gather(*(sender.control(message) for message in wanted))
        assert peer.log == wanted

    run(scenario())


def test_over_release_raises() -> None:
    """An extra release is an error, not a second writer."""

    async def scenario() -> None:
        sender = make(Peer())
        with pytest.raises(ValueError, match="released too many times"):
            part_of(sender, asyncio.BoundedSemaphore).release()

    run(scenario())


def test_a_second_stream_waits() -> None:
    """No chunk of it comes between those of the first one; afterwards the sender is free."""

    async def scenario() -> None:
        peer = Peer()
        peer.pauses = 5
        sender = make(peer)

        async def send_two(name: bytes) -> None:
            async with sender.stream():
                await sender.audio([name], CHUNK)
                await sender.audio([name], CHUNK)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send_two(b"first"))
            await settle(2)
            second = tasks.create_task(send_two(b"second"))
            await settle(1)
            assert not second.done()
        await send_one(sender, b"again")
        assert peer.log == [b"first"] * 2 + [b"second"] * 2 + [b"again"]

    run(scenario())


def test_a_commit_may_pass_between_the_chunks_of_a_stream() -> None:
    """Control messages share the lane, not the stream lock."""

    async def scenario() -> None:
        peer = Peer()
        sender = make(peer)
        async with sender.stream():
            await sender.audio([b"a"], CHUNK)
            await sender.control(b"commit")
            await sender.audio([b"b"], CHUNK)
        assert peer.log == [b"a", b"commit", b"b"]

    run(scenario())


@given(sizes=st.lists(st.integers(1, 3 * RATE), min_size=1, max_size=40), data=st.data())
@settings(max_examples=150, deadline=None)
def test_unacknowledged_audio_never_exceeds_the_window(sizes: list[int], data: st.DataObject) -> None:
    """At most the window is in flight; one chunk is always allowed."""

    async def scenario() -> None:
        peer = Peer()
        peer.answers = False
        sender = make(peer)

        async def stream() -> None:
            async with sender.stream():
                for size in sizes:
                    if sender.free(size):
                        sender.audio_at_once([b"x"], size)
                    else:
                        await sender.audio([b"x"], size)
                    assert sender.in_flight <= max(sender.window, size)

        task = asyncio.create_task(stream())
        for _ in range(20 * len(sizes)):
            await settle(4)
            if task.done():
                break
            for _ in range(data.draw(st.integers(1, len(peer.pongs))) if peer.pongs else 0):
                peer.pongs.pop(0).set_result(None)
        await asyncio.wait((task,), timeout=2)
        assert task.done()
        await task

    run(scenario())


class Timed(Peer):
    """A peer that records the time of each ping."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.pinged_at: list[float] = []

    def _pong(self) -> asyncio.Future[None]:
        self.pinged_at.append(self.clock.now())
        return super()._pong()


class ManualClock(FakeClock):
    """Time that moves only on ``advance``."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[float, Callable[[], None]]] = []

    def call_at(self, deadline: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Keep the call until its time."""
        call = (deadline, callback)
        self._calls.append(call)
        return lambda: self._calls.remove(call) if call in self._calls else None

    def advance(self, time: float) -> None:
        """Advance the time."""
        self.time = time
        for call in [each for each in self._calls if each[0] <= time]:
            self._calls.remove(call)
            call[1]()


@pytest.mark.parametrize("pauses", [0, 2], ids=["at once", "waiting"])
def test_pings_by_the_timer(pauses: int) -> None:
    """After audio within 1.2 s, when idle every 5 s; also if the connection makes the ping wait."""

    async def scenario() -> None:
        clock = FakeClock()
        peer = Timed(clock)
        sender = Sender(peer, clock, rate_hz=RATE)
        await sender.audio([b"x"], CHUNK)
        peer.pauses = pauses
        pinging = asyncio.create_task(sender.keep_pinging())
        await settle(200)
        pinging.cancel()
        await asyncio.wait((pinging,))
        first, *idle = (later - earlier for earlier, later in pairwise([100.0, *peer.pinged_at[:6]]))
        assert 1.0 < first < 1.21
        assert all(5 <= each < 5.71 for each in idle), idle
        assert sender.acknowledged == CHUNK

    run(scenario())


def test_a_flowing_stream_needs_no_ping_of_the_timer() -> None:
    """Its pings follow the audio, every half of the window."""

    async def scenario() -> None:
        clock = ManualClock()
        peer = Timed(clock)
        sender = Sender(peer, clock, rate_hz=RATE)
        pinging = asyncio.create_task(sender.keep_pinging())
        await settle(1)
        for number in range(1, 51):
            clock.advance(100.0 + number / 10)
            sender.audio_at_once([b"x"], RATE // 10)
            await settle(2)
        pinging.cancel()
        await asyncio.wait((pinging,))
        assert len(peer.pinged_at) == 5

    run(scenario())


def test_a_stalled_peer_stops_the_stream_within_the_window() -> None:
    """A peer without pongs gets two seconds of audio and no more."""

    async def scenario() -> None:
        peer = Peer()
        peer.answers = False
        sender = make(peer)

        async def stream() -> None:
            async with sender.stream():
                for _ in range(1000):
                    await sender.audio([b"x"], CHUNK)

        task = asyncio.create_task(stream())
        await settle(2000)
        assert sender.in_flight == 2 * RATE
        assert not task.done()
        peer.pongs[-1].set_result(None)
        await settle(2000)
        assert sender.sent > 2 * RATE
        task.cancel()

    run(scenario())


def test_a_pong_acknowledges_only_audio_before_its_ping() -> None:
    """Audio after the ping stays unacknowledged."""

    async def scenario() -> None:
        peer = Peer()
        peer.answers = False
        sender = make(peer)
        async with sender.stream():
            await sender.audio([b"x"], RATE)
            assert len(peer.pongs) == 1
            await sender.audio([b"x"], CHUNK)
            peer.pongs[0].set_result(None)
            await settle()
        assert sender.acknowledged == RATE
        assert sender.in_flight == CHUNK

    run(scenario())


def test_an_event_acknowledges_too_and_the_mark_never_goes_back() -> None:
    """Events of the endpoint move the mark; late ones do not."""

    async def scenario() -> None:
        seen: list[int] = []
        peer = Peer()
        peer.answers = False
        sender = Sender(peer, FakeClock(), rate_hz=RATE, on_acknowledged=seen.append)
        async with sender.stream():
            await sender.audio([b"x"], 1000)
        for claim in (500, 200, 5000, 1000):
            sender.acknowledge(claim)
        assert seen == [500, 1000]

    run(scenario())


@pytest.mark.parametrize(
    ("round_trip", "times", "seconds"),
    [
        (None, 1, 2),
        (None, 1000, 2),
        (0.0, 1, 2),
        (0.5, 1, 2),
        (1.0, 1, 3),
        (3.0, 1, 7),
        (10.0, 1, 8),
        (0.0, 4, 4),
        (0.5, 2, 4),
        (0.0, 1000, 8),
        (3.0, 0, 7),
    ],
    ids=str,
)
def test_window(round_trip: float | None, times: float, seconds: float) -> None:
    """clamp(2 x round trip + 1 s, 2 s, 8 s), multiplied by the speed at which the endpoint reads."""
    assert window_s(round_trip, times) == seconds


def test_the_pace_is_that_of_the_last_quarter_second() -> None:
    """A burst does not count, and a pause resets the pace."""
    pace = Pace(10.0)
    seen = [pace.times]
    for now, read_s in [(10.01, 5), (10.25, 7), (10.5, 7.25), (20.5, 7.25)]:
        pace.add(now, read_s)
        seen.append(pace.times)

    assert seen == [1, 1, 28, 1, 0]


def test_the_pace_of_a_flood_is_known_as_soon_as_a_window_is_read() -> None:
    """Otherwise a long file would be sent before its window is wide; a slow reader has the quarter second."""
    pace = Pace(10.0)
    seen = [pace.times]
    for now, read_s in [(10.001, 4), (10.002, 8), (10.002, 16), (10.004, 16.5), (10.1, 17)]:
        pace.add(now, read_s)
        seen.append(round(pace.times))

    assert seen == [1, 1, 4000, 4000, 4250, 4250]


def test_the_window_widens_in_a_flood_and_narrows_with_it() -> None:
    """At most 8 s are in flight, and 2 s at real time."""

    async def scenario() -> None:
        clock, peer = FakeClock(), Peer()
        sender = Sender(peer, clock, rate_hz=RATE)
        widths = []
        async with sender.stream():
            for step_s in [0.01] * 200 + [0.5] * 20:
                clock.time += step_s
                await sender.audio([b"x"], RATE // 2)
                await settle(3)
                widths.append(sender.window / RATE)
        assert widths[0] == 2
        assert max(widths) == widths[199] == 8
        assert widths[-1] == 2

    run(scenario())


def test_round_trips_keep_the_minimum_of_half_a_minute() -> None:
    """A slow pong does not raise the minimum; time does."""
    trips = RoundTrips()
    trips.add(0, 0.1)
    trips.add(1, 0.5)
    assert trips.minimum == 0.1
    trips.add(30.5, 0.7)
    assert trips.minimum == 0.5


def test_every_change_of_state_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Attempt, lane awaited, taken, released, window closed, opened."""

    async def scenario() -> None:
        peer = Peer()
        peer.answers = False
        peer.pauses = 1
        sender = make(peer)

        async def stream() -> None:
            async with sender.stream():
                for _ in range(60):
                    await sender.audio([b"x"], CHUNK)

        task = asyncio.create_task(stream())
        other = asyncio.create_task(sender.control(b"c"))
        await settle(400)
        while not task.done():
            while peer.pongs:
                peer.pongs.pop().set_result(None)
            await settle(10)
        await asyncio.gather(task, other)

    with caplog.at_level(logging.DEBUG, logger="rt.sender"):
        run(scenario())

    for what in ("sender made", "lane awaited", "lane taken", "lane released", "window closed", "window opened"):
        assert what in caplog.text
    assert "connection 1" in caplog.text
