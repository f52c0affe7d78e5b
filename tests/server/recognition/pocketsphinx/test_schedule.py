"""Turns, decoders and cuts, decided without any process."""

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
    """A piece of sound."""
    return ItemStep(item, StepKind.SOUND, b"pcm", seconds)


class Pool:
    """Carries a schedule out: what runs is complete when the test says so."""

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
        """A session with something to do."""
        queue: SessionQueue[str] = SessionQueue()
        for step in steps:
            self.schedule.add(queue, step)
        return queue

    def go(self) -> list[RunStep[str]]:
        """Do all that can be done now; what runs."""
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
        """The longest running job is answered."""
        run = self.running.pop(0)
        self.schedule.done(run.queue, self.now, again=again)
        return run

    def served(self, answers: int = 1_000) -> list[tuple[str, StepKind]]:
        """Run to the end, or for some answers: item and kind of each job, in order."""
        log = []
        for _ in range(answers):
            if not self.go():
                break
            run = self.answer()
            log.append((run.step.item, run.step.kind))
        return log


def test_sessions_take_turns() -> None:
    """A slice of one is followed by a slice of another, however many the first has waiting."""
    pool = Pool()
    pool.queue(*(sound("flood") for _ in range(50)))
    pool.queue(sound("live"), ItemStep("live", StepKind.FINISH))

    assert [item for item, _ in pool.served(6)] == ["flood", "live", "flood", "live", "flood", "flood"]


def test_small_pieces_make_one_slice() -> None:
    """Sound of an item that has not begun grows up to a slice, and not beyond an end."""
    pool = Pool()
    queue = pool.queue(*(sound("a", 0.05) for _ in range(5)), ItemStep("a", StepKind.PAUSE), sound("a", 0.05))

    assert [round(step.seconds, 2) for step in queue.steps] == [0.2, 0.05, 0, 0.05]
    assert queue.steps[0].pcm == b"pcm" * 4
    assert queue.waiting_s == pytest.approx(0.3)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_slots(slots: int) -> None:
    """No more run at once than there are places, and one of a session at most."""
    pool = Pool(slots)
    queues = [pool.queue(sound(item), sound(item)) for item in "abcd"]

    assert [run.queue for run in pool.go()] == queues[:slots]
    pool.answer()
    assert [run.queue for run in pool.go()] == queues[1 : slots + 1]


def test_an_utterance_keeps_its_decoder() -> None:
    """From its first sound to its end; the next one may get another."""
    pool = Pool(slots=2)
    pool.queue(sound("a"), sound("a"), ItemStep("a", StepKind.PAUSE), sound("a"))
    pool.go()
    runs = [pool.answer(), *(pool.answer() for _ in range(3) if pool.go())]

    assert [(run.decoder, run.new_utterance) for run in runs] == [(0, True), (0, False), (0, False), (0, True)]


def test_ends_without_an_utterance_need_no_decoder() -> None:
    """An item without sound is over at once, be all decoders taken."""
    pool = Pool(decoders=1, loaded=0)
    pool.queue(ItemStep("empty", StepKind.PAUSE), ItemStep("empty", StepKind.FINISH))

    assert pool.go() == []
    assert [step.kind for step in pool.skipped] == [StepKind.PAUSE, StepKind.FINISH]
    assert pool.loading == []


def test_decoders_are_loaded_when_needed() -> None:
    """One after the other, as long as utterances have none, up to the bound."""
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
    """None is loaded for who can have one after the next job."""
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


def test_who_waits_for_a_decoder_is_not_passed() -> None:
    """The decoder that becomes free goes to the longest waiting."""
    pool = Pool(decoders=1, loaded=1)
    for item in "abc":
        pool.queue(sound(item), ItemStep(item, StepKind.FINISH))
    log = pool.served()

    assert [item for item, _ in log] == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize(("others", "limit_s"), [(0, LONGEST_S), (1, SHARED_S)])
def test_long_utterances_are_cut(others: int, limit_s: float) -> None:
    """At the bound of the decoder, and sooner where somebody waits, who comes next then."""
    pool = Pool(decoders=1, loaded=1)
    pool.queue(*(sound("long") for _ in range(int(LONGEST_S / SLICE_S) + 10)))
    pool.go()
    for _ in range(others):
        pool.queue(sound("other"), ItemStep("other", StepKind.FINISH))
    log = pool.served()
    cut = log.index(("long", StepKind.PAUSE))

    assert cut == pytest.approx(limit_s / SLICE_S, abs=1)
    assert [item for item, _ in log[cut + 1 :][: 2 * others]] == ["other"] * 2 * others


def test_a_quiet_utterance_makes_room() -> None:
    """Who holds a decoder and says nothing loses it when another waits, not before, and goes on later."""
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
    """Unused for a minute, all but one."""
    pool = Pool(decoders=3, loaded=3)
    assert pool.schedule.next_check_at() == SPARE_S
    pool.now = SPARE_S
    pool.go()

    assert len(pool.retired) == 2
    assert pool.schedule.next_check_at() is None
    pool.queue(sound("a"))
    assert len(pool.go()) == 1


def test_forget_while_waiting() -> None:
    """Jobs of an item that nobody wants are gone, those of the next stay."""
    pool = Pool()
    queue = pool.queue(sound("a"), ItemStep("a", StepKind.FINISH), sound("b"), ItemStep("b", StepKind.FINISH))
    pool.schedule.forget(queue, "a")

    assert queue.waiting_s == pytest.approx(SLICE_S)
    assert pool.served() == [("b", StepKind.SOUND), ("b", StepKind.FINISH)]


@pytest.mark.parametrize("again", [False, True])
def test_forget_while_running(*, again: bool) -> None:
    """What runs is the last; the decoder is free after it."""
    pool = Pool(decoders=1, loaded=1)
    queue = pool.queue(*(sound("a") for _ in range(20)))
    pool.go()
    pool.schedule.forget(queue, "a")
    pool.answer(again=again)

    assert pool.served() == [("a", StepKind.DROP)]
    assert (queue.decoder, queue.waiting_s, len(queue.steps)) == (None, pytest.approx(0), 0)


def test_forget_the_only_one() -> None:
    """A session without jobs has no turn."""
    pool = Pool(loaded=0)
    queue = pool.queue(sound("a"))
    pool.schedule.forget(queue, "a")

    assert (pool.go(), pool.loading) == ([], [])


def test_a_job_in_steps_takes_turns() -> None:
    """A long job of one lets others run between its steps."""
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
    """Whether the longest running job is of an item."""
    return pool.running[0].step.item == item


def test_a_lost_decoder_fails_its_item_only() -> None:
    """The item whose utterance it held fails; the next item of the session and other sessions go on."""
    pool = Pool(slots=2, decoders=2, loaded=2)
    pool.queue(sound("a1"), ItemStep("a1", StepKind.FINISH), sound("a2"), ItemStep("a2", StepKind.FINISH))
    pool.queue(sound("b"), ItemStep("b", StepKind.FINISH))
    lost = pool.go()[0]
    assert pool.schedule.lost(lost.decoder, pool.now) == ["a1"]
    pool.running.remove(lost)

    assert [item for item, kind in pool.served() if kind is StepKind.FINISH] == ["b", "a2"]


def test_decoders_that_cannot_be_loaded() -> None:
    """Who waits fails where there is no decoder at all, and waits on where there is one; the next tries again."""
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


def test_what_hangs_gives_its_place() -> None:
    """An overdue job no longer counts, and is not counted twice when it is answered after all."""
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
    """Random sessions, and all that must hold whatever they do."""

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
        """A session wants something."""
        item = f"{number}.{sum(kind is StepKind.FINISH for _, kind in self.asked[number])}"
        step = sound(item) if kind is StepKind.SOUND else ItemStep(item, kind)
        self.asked[number].append((item, kind))
        self.pool.schedule.add(self.queues[number], step)
        self.check()

    def check(self) -> None:
        """Do what can be done, and look at it."""
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
        """A session's job runs: no other that could was passed more than once by it."""
        self.passed.pop(number, None)
        for counts in self.passed.values():
            counts[number] += 1
            assert counts[number] <= 1

    def answer(self) -> None:
        """The longest running job is complete."""
        if self.pool.running:
            run = self.pool.answer()
            self.got[self.queues.index(run.queue)].append((run.step.item, run.step.kind))
            self.check()

    def end(self) -> None:
        """Everything comes to its end, with time if need be."""
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
    """All but the ends of utterances: the schedule adds its own."""
    return [entry for entry in log if entry[1] is not StepKind.PAUSE]


KINDS = st.sampled_from([StepKind.SOUND, StepKind.SOUND, StepKind.SOUND, StepKind.PAUSE, StepKind.FINISH])
STEPS = st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 4), KINDS)), max_size=120)
"""A job is answered, or a session adds one."""


@settings(max_examples=300, deadline=None)
@given(slots=st.integers(1, 3), decoders=st.integers(1, 4), steps=STEPS)
def test_turns_order_and_no_starvation(slots: int, decoders: int, steps: list[Any]) -> None:
    """Order is kept in each session, nobody is passed twice by the same session, and all is done in the end."""
    world = World(slots, decoders)
    for step in steps:
        if step is None:
            world.answer()
        else:
            world.add(*step)
    world.end()
