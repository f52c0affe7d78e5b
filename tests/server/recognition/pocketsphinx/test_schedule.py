"""The schedule without processes: turns, decoders and cuts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.server.recognition.pocketsphinx.schedule import (
    IDLE_S,
    LONGEST_S,
    RETRY_S,
    SHARED_S,
    SLICE_S,
    SPARE_S,
    ItemStep,
    LoadDecoder,
    RetireDecoder,
    RunStep,
    Schedule,
    SessionQueue,
    SkipStep,
    StepKind,
)


def sound(item: str, seconds: float = SLICE_S) -> ItemStep[str]:
    """A SOUND step."""
    return ItemStep(item, StepKind.SOUND, b"pcm", seconds)


class Pool:
    """Executes a schedule; a running step ends when the test calls answer()."""

    def __init__(self, slots: int = 1, decoders: int = 4, loaded: int = 4) -> None:
        self.schedule: Schedule[str] = Schedule(slots, decoders)
        self.now = 0.0
        self.running: list[RunStep[str]] = []
        self.skipped: list[ItemStep[str]] = []
        self.loading: list[int] = []
        self.retired: list[int] = []
        for _ in range(loaded):
            self.schedule.loaded(self.schedule.load_one().decoder, self.now)

    def queue(self, *steps: ItemStep[str]) -> SessionQueue[str]:
        """A session with these steps."""
        queue: SessionQueue[str] = SessionQueue()
        for step in steps:
            self.schedule.add(queue, step)
        return queue

    def go(self) -> list[RunStep[str]]:
        """Execute all commands; returns the running steps."""
        while (order := self.schedule.next(self.now)) is not None:
            match order:
                case RunStep():
                    self.running.append(order)
                case SkipStep(step):
                    self.skipped.append(step)
                case LoadDecoder(decoder):
                    self.loading.append(decoder)
                case RetireDecoder(decoder):
                    self.retired.append(decoder)
        return self.running

    def answer(self, *, again: bool = False) -> RunStep[str]:
        """The oldest running step ends."""
        run = self.running.pop(0)
        self.schedule.done(run.queue, self.now, again=again)
        return run

    def served(self, answers: int = 1_000) -> list[tuple[str, StepKind]]:
        """Run to the end, or for a number of answers; returns item and kind of each step."""
        log = []
        for _ in range(answers):
            if not self.go():
                break
            run = self.answer()
            log.append((run.step.item, run.step.kind))
        return log


def test_sessions_take_turns() -> None:
    """Slices of sessions alternate, no matter how many steps a session has."""
    pool = Pool()
    pool.queue(*(sound("flood") for _ in range(50)))
    pool.queue(sound("live"), ItemStep("live", StepKind.FINISH))

    assert [item for item, _ in pool.served(6)] == ["flood", "live", "flood", "live", "flood", "flood"]


def test_small_pieces_make_one_slice() -> None:
    """Audio of a waiting step grows up to one slice, and not across a pause."""
    pool = Pool()
    queue = pool.queue(*(sound("a", 0.05) for _ in range(5)), ItemStep("a", StepKind.PAUSE), sound("a", 0.05))

    assert [round(step.seconds, 2) for step in queue.steps] == [0.2, 0.05, 0, 0.05]
    assert queue.steps[0].pcm == b"pcm" * 4
    assert queue.waiting_s == pytest.approx(0.3)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_slots(slots: int) -> None:
    """At most ``slots`` steps run at once, and one per session."""
    pool = Pool(slots)
    queues = [pool.queue(sound(item), sound(item)) for item in "abcd"]

    assert [run.queue for run in pool.go()] == queues[:slots]
    pool.answer()
    assert [run.queue for run in pool.go()] == queues[1 : slots + 1]


def test_an_utterance_keeps_its_decoder() -> None:
    """From its first audio to its end; the next utterance may get another decoder."""
    pool = Pool(slots=2)
    pool.queue(sound("a"), sound("a"), ItemStep("a", StepKind.PAUSE), sound("a"))
    pool.go()
    runs = [pool.answer(), *(pool.answer() for _ in range(3) if pool.go())]

    assert [(run.decoder, run.new_utterance) for run in runs] == [(0, True), (0, False), (0, False), (0, True)]


def test_ends_without_an_utterance_need_no_decoder() -> None:
    """An item without audio ends at once, even if all decoders are used."""
    pool = Pool(decoders=1, loaded=0)
    pool.queue(ItemStep("empty", StepKind.PAUSE), ItemStep("empty", StepKind.FINISH))

    assert pool.go() == []
    assert [step.kind for step in pool.skipped] == [StepKind.PAUSE, StepKind.FINISH]
    assert pool.loading == []


def test_decoders_are_loaded_when_needed() -> None:
    """One after the other while utterances wait, up to the limit."""
    pool = Pool(slots=3, decoders=2, loaded=0)
    queues = [pool.queue(sound(item)) for item in "abc"]

    assert (pool.go(), pool.loading) == ([], [0])
    pool.schedule.loaded(0, pool.now)
    assert [run.queue for run in pool.go()] == queues[:1]
    assert pool.loading == [0, 1]
    pool.schedule.loaded(1, pool.now)
    assert [run.queue for run in pool.go()] == queues[:2]
    assert pool.loading == [0, 1]


def test_a_decoder_that_is_about_to_be_free_will_do() -> None:
    """No decoder is loaded if one is released after its next step."""
    pool = Pool(decoders=2, loaded=1)
    leaving = pool.queue(sound("a"), sound("a"))
    pool.go()
    pool.schedule.forget(leaving, "a")
    pool.queue(sound("b"))
    pool.go()
    assert pool.loading == []
    pool.queue(sound("c"))
    pool.go()
    assert pool.loading == [1]


def test_free_decoder_goes_to_the_longest_waiting() -> None:
    """A released decoder goes to the queue that has waited longest."""
    pool = Pool(decoders=1, loaded=1)
    for item in "abc":
        pool.queue(sound(item), ItemStep(item, StepKind.FINISH))
    log = pool.served()

    assert [item for item, _ in log] == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize(("others", "limit_s"), [(0, LONGEST_S), (1, SHARED_S)])
def test_long_utterances_are_cut(others: int, limit_s: float) -> None:
    """At LONGEST_S, or at SHARED_S if a session waits, which then gets the decoder."""
    pool = Pool(decoders=1, loaded=1)
    pool.queue(*(sound("long") for _ in range(int(LONGEST_S / SLICE_S) + 10)))
    pool.go()
    for _ in range(others):
        pool.queue(sound("other"), ItemStep("other", StepKind.FINISH))
    log = pool.served()
    cut = log.index(("long", StepKind.PAUSE))

    assert cut == pytest.approx(limit_s / SLICE_S, abs=1)
    assert [item for item, _ in log[cut + 1 :][: 2 * others]] == ["other"] * 2 * others


def test_idle_utterance_releases_its_decoder() -> None:
    """An utterance without new audio loses its decoder only if a session waits, and continues later."""
    pool = Pool(decoders=1, loaded=1)
    idle = pool.queue(sound("idle"))
    pool.served()
    assert (idle.decoder, pool.schedule.next_check_at()) == (0, None)
    pool.now = IDLE_S / 2
    other = pool.queue(sound("other"), ItemStep("other", StepKind.FINISH))
    assert pool.go() == []
    assert pool.schedule.next_check_at() == IDLE_S
    pool.now = IDLE_S
    assert pool.served() == [("idle", StepKind.PAUSE), ("other", StepKind.SOUND), ("other", StepKind.FINISH)]
    assert other.decoder is None
    pool.schedule.add(idle, sound("idle"))
    assert [run.new_utterance for run in pool.go()] == [True]


def test_spare_decoders_go() -> None:
    """Unused decoders are unloaded after a minute, except one."""
    pool = Pool(decoders=3, loaded=3)
    assert pool.schedule.next_check_at() == SPARE_S
    pool.now = SPARE_S
    pool.go()

    assert len(pool.retired) == 2
    assert pool.schedule.next_check_at() is None
    pool.queue(sound("a"))
    assert len(pool.go()) == 1


def test_forget_while_waiting() -> None:
    """The steps of an abandoned item are removed; those of the next item stay."""
    pool = Pool()
    queue = pool.queue(sound("a"), ItemStep("a", StepKind.FINISH), sound("b"), ItemStep("b", StepKind.FINISH))
    pool.schedule.forget(queue, "a")

    assert queue.waiting_s == pytest.approx(SLICE_S)
    assert pool.served() == [("b", StepKind.SOUND), ("b", StepKind.FINISH)]


@pytest.mark.parametrize("again", [False, True])
def test_forget_while_running(*, again: bool) -> None:
    """Only the running step ends; then the decoder is free."""
    pool = Pool(decoders=1, loaded=1)
    queue = pool.queue(*(sound("a") for _ in range(20)))
    pool.go()
    pool.schedule.forget(queue, "a")
    pool.answer(again=again)

    assert pool.served() == [("a", StepKind.DROP)]
    assert (queue.decoder, queue.waiting_s, len(queue.steps)) == (None, pytest.approx(0), 0)


def test_forget_the_only_one() -> None:
    """A session without steps gets no turn."""
    pool = Pool(loaded=0)
    queue = pool.queue(sound("a"))
    pool.schedule.forget(queue, "a")

    assert (pool.go(), pool.loading) == ([], [])


def test_long_step_takes_turns() -> None:
    """Other sessions run between the parts of a long step."""
    pool = Pool()
    pool.queue(sound("a"), ItemStep("a", StepKind.FINISH))
    pool.queue(*(sound("b") for _ in range(4)))
    pool.go()
    steps = []
    for more in (True, False, True, False, True, False):
        run = pool.answer(again=more and run_is_of("a", pool))
        steps.append((run.step.item, run.step.in_progress))
        pool.go()

    assert [item for item, _ in steps] == ["a", "b"] * 3
    assert steps[2] == ("a", True)


def run_is_of(item: str, pool: Pool) -> bool:
    """True if the oldest running step belongs to the item."""
    return pool.running[0].step.item == item


def test_a_lost_decoder_fails_its_item_only() -> None:
    """The item of its utterance fails; the next item and other sessions continue."""
    pool = Pool(slots=2, decoders=2, loaded=2)
    pool.queue(sound("a1"), ItemStep("a1", StepKind.FINISH), sound("a2"), ItemStep("a2", StepKind.FINISH))
    pool.queue(sound("b"), ItemStep("b", StepKind.FINISH))
    lost = pool.go()[0]
    assert pool.schedule.lost(lost.decoder, pool.now) == ["a1"]
    pool.running.remove(lost)

    assert [item for item, kind in pool.served() if kind is StepKind.FINISH] == ["b", "a2"]


def test_decoders_that_cannot_be_loaded() -> None:
    """Waiting items fail if there is no decoder; else they wait on. The next item tries again."""
    pool = Pool(decoders=2, loaded=0)
    pool.queue(sound("a"), ItemStep("a", StepKind.FINISH), sound("a2"))
    pool.queue(sound("b"))
    pool.go()
    assert pool.schedule.lost(pool.loading.pop(), pool.now) == ["a", "b", "a2"]
    assert (pool.go(), pool.loading) == ([], [])
    pool.queue(sound("c"), sound("c"))
    pool.go()
    pool.schedule.loaded(pool.loading.pop(), pool.now)
    pool.go()
    pool.now = RETRY_S
    pool.queue(sound("d"))
    pool.go()
    assert pool.schedule.lost(pool.loading.pop(), pool.now) == []
    pool.go()
    assert pool.loading == []
    pool.now += RETRY_S
    pool.go()
    assert len(pool.loading) == 1


def test_overdue_step_releases_its_slot() -> None:
    """An overdue step holds no slot, and its late answer changes no count."""
    pool = Pool(slots=1)
    queue = pool.queue(sound("a"), sound("a"))
    pool.queue(sound("b"), sound("b"))
    pool.go()
    pool.schedule.overdue(queue)
    assert [run.step.item for run in pool.go()] == ["a", "b"]
    pool.answer()
    assert [run.step.item for run in pool.go()] == ["b"]
    pool.answer()
    assert len(pool.go()) == 1


@dataclass
class World:
    """Random sessions, with all invariants."""

    slots: int
    decoders: int
    pool: Pool = field(init=False)
    queues: list[SessionQueue[str]] = field(init=False)
    asked: list[list[tuple[str, StepKind]]] = field(init=False)
    got: list[list[tuple[str, StepKind]]] = field(init=False)
    passed: dict[int, list[int]] = field(init=False)
    """For each session that could run, how often each other was begun meanwhile."""

    def __post_init__(self) -> None:
        self.pool = Pool(self.slots, self.decoders, 1)
        self.queues = [SessionQueue() for _ in range(5)]
        self.asked = [[] for _ in self.queues]
        self.got = [[] for _ in self.queues]
        self.passed = {}

    def add(self, number: int, kind: StepKind) -> None:
        """A session adds a step."""
        item = f"{number}.{sum(kind is StepKind.FINISH for _, kind in self.asked[number])}"
        step = sound(item) if kind is StepKind.SOUND else ItemStep(item, kind)
        self.asked[number].append((item, kind))
        self.pool.schedule.add(self.queues[number], step)
        self.check()

    def check(self) -> None:
        """Execute all commands and check the invariants."""
        before = len(self.pool.running)
        self.pool.go()
        for decoder in self.pool.loading:
            self.pool.schedule.loaded(decoder, self.pool.now)
        self.pool.loading.clear()
        self.pool.go()
        for run in self.pool.running[before:]:
            self.begun(self.queues.index(run.queue))
        running = self.pool.running
        assert len(running) <= self.slots
        assert len({id(run.queue) for run in running}) == len(running) == len({run.decoder for run in running})
        held = [queue.decoder for queue in self.queues if queue.decoder is not None]
        assert len(held) == len(set(held)) <= self.decoders
        for step in self.pool.skipped:
            if step.kind is not StepKind.DROP:
                self.got[int(step.item[0])].append((step.item, step.kind))
        self.pool.skipped.clear()
        for number, queue in enumerate(self.queues):
            if queue.running is None and queue.steps and queue.decoder is not None:
                self.passed.setdefault(number, [0] * len(self.queues))

    def begun(self, number: int) -> None:
        """A step starts: no other ready session has been passed more than once by this session."""
        self.passed.pop(number, None)
        for counts in self.passed.values():
            counts[number] += 1
            assert counts[number] <= 1

    def answer(self) -> None:
        """The oldest running step ends."""
        if self.pool.running:
            run = self.pool.answer()
            self.got[self.queues.index(run.queue)].append((run.step.item, run.step.kind))
            self.check()

    def end(self) -> None:
        """Run until all steps are done; time passes if needed."""
        for _ in range(500):
            if not any(queue.steps or queue.running for queue in self.queues):
                break
            self.answer()
            self.pool.now += IDLE_S
            self.check()
        for asked, got in zip(self.asked, self.got, strict=True):
            assert without_pauses(got) == without_pauses(asked)
        assert all(queue.waiting_s == pytest.approx(0) for queue in self.queues)


def without_pauses(log: list[tuple[str, StepKind]]) -> list[tuple[str, StepKind]]:
    """The steps without PAUSE, because the schedule adds its own."""
    return [entry for entry in log if entry[1] is not StepKind.PAUSE]


KINDS = st.sampled_from([StepKind.SOUND, StepKind.SOUND, StepKind.SOUND, StepKind.PAUSE, StepKind.FINISH])
STEPS = st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 4), KINDS)), max_size=120)
"""A job is answered, or a session adds one."""


@settings(max_examples=300, deadline=None)
@given(slots=st.integers(1, 3), decoders=st.integers(1, 4), steps=STEPS)
def test_turns_order_and_no_starvation(slots: int, decoders: int, steps: list[Any]) -> None:
    """Steps of a session keep their order, no session passes another twice, and all steps are done."""
    world = World(slots, decoders)
    for step in steps:
        if step is None:
            world.answer()
        else:
            world.add(*step)
    world.end()
