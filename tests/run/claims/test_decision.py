"""Who may work on a source: a table, and every order of the steps of many processes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rt_cli.run.claims.decision import STALE_S, Create, Look, Phase, Standing, next_step, standing
from rt_cli.run.claims.owner import Process

ALIVE, GONE, UNKNOWN = Process.ALIVE, Process.GONE, Process.UNKNOWN


@pytest.mark.parametrize(
    ("phase", "process", "age_s", "means"),
    [
        (Phase.WORKING, ALIVE, 0, Standing.BUSY),
        (Phase.WORKING, ALIVE, 1e9, Standing.BUSY),  # stopped, but there
        (Phase.WORKING, GONE, 0, Standing.FREE),
        (Phase.WORKING, UNKNOWN, 0, Standing.BUSY),
        (Phase.WORKING, UNKNOWN, -1e9, Standing.BUSY),
        (Phase.WORKING, UNKNOWN, STALE_S - 0.1, Standing.BUSY),
        (Phase.WORKING, UNKNOWN, STALE_S, Standing.FREE),
        (Phase.RELEASED, ALIVE, 0, Standing.FREE),
        (Phase.RELEASED, UNKNOWN, 0, Standing.FREE),
        (Phase.DONE, ALIVE, 0, Standing.DONE),
        (Phase.DONE, GONE, 1e9, Standing.DONE),
        (Phase.DONE, UNKNOWN, 1e9, Standing.DONE),
    ],
)
def test_what_a_claim_means(phase: Phase, process: Process, age_s: float, means: Standing) -> None:
    """A local process is known; one elsewhere is judged by the age of its claim; an ended claim needs no owner."""
    assert standing(phase, process, age_s) is means


@pytest.mark.parametrize("process", Process)
@pytest.mark.parametrize(
    ("phase", "own", "again"), [(Phase.WORKING, "own", "own"), (Phase.RELEASED, "free", "free"), (Phase.DONE,) * 3]
)
def test_own_claims(process: Process, phase: Phase, own: str, again: str) -> None:
    """A copy in the same run is no other's; what is done is done again on request."""
    if phase is Phase.DONE:
        assert standing(phase, process, 0, own=True) is Standing.OWN
        assert standing(phase, process, 0, again=True) is Standing.FREE
    else:
        assert standing(phase, process, 0, own=True).value == own
        assert standing(phase, process, 0, own=True, again=True).value == again


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (None, Create(3)),
        (Standing.FREE, Look(4)),
        (Standing.BUSY, Standing.BUSY),
        (Standing.DONE, Standing.DONE),
        (Standing.OWN, Standing.OWN),
    ],
)
def test_next_step(found: Standing | None, step: object) -> None:
    """Behind a free claim the next number is looked at."""
    assert next_step(3, found) == step


@dataclass
class Model:
    """A process that wants the one source."""

    host: int
    step: Look | Create | Standing = field(default_factory=lambda: Look(0))
    working: int | None = None
    alive: bool = True


@dataclass
class File:
    """A claim on the one source."""

    owner: Model
    refreshed_at: float
    phase: Phase = Phase.WORKING


class Sharing(RuleBasedStateMachine):
    """Processes on two hosts, whose operations on the shared folder come in any order."""

    def __init__(self) -> None:
        """Begin without a claim."""
        super().__init__()
        self.now = 0.0
        self.files: dict[int, File] = {}
        self.processes: list[Model] = []
        self.finished = 0

    def some(self, data: st.DataObject) -> Model:
        """Return any process that is alive."""
        return data.draw(st.sampled_from([each for each in self.processes if each.alive]))

    def look(self, process: Model, number: int) -> Standing | None:
        """Read a claim as a process sees it."""
        if number not in self.files:
            return None
        file = self.files[number]
        here = file.owner.host == process.host
        state = (ALIVE if file.owner.alive else GONE) if here else UNKNOWN
        return standing(file.phase, state, self.now - file.refreshed_at)

    @rule(host=st.integers(0, 1))
    def start(self, host: int) -> None:
        """A process starts."""
        self.processes.append(Model(host))

    @precondition(lambda self: any(each.alive for each in self.processes))
    @rule(data=st.data())
    def operate(self, data: st.DataObject) -> None:
        """A process does its next operation; nothing else happens meanwhile."""
        self.advance(self.some(data))

    def advance(self, process: Model) -> None:
        """Do one operation."""
        if process.working is not None:
            return
        if process.step is Standing.BUSY:
            process.step = Look(0)
        elif isinstance(process.step, Create) and process.step.number not in self.files:
            assert not self.finished, "done, and taken again"
            self.files[process.step.number] = File(process, self.now)
            process.working = process.step.number
        elif not isinstance(process.step, Standing):
            process.step = next_step(process.step.number, self.look(process, process.step.number))

    @precondition(lambda self: any(each.alive for each in self.processes))
    @rule(data=st.data(), phase=st.sampled_from([Phase.DONE, Phase.RELEASED]))
    def end(self, data: st.DataObject, phase: Phase) -> None:
        """A process ends its work."""
        process = self.some(data)
        if process.working is not None:
            self.files[process.working].phase = phase
            process.working = None
            process.step = Look(0)
            self.finished += phase is Phase.DONE

    @precondition(lambda self: any(each.alive for each in self.processes))
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        """A process dies between two operations."""
        self.some(data).alive = False

    @rule(passed_s=st.sampled_from([1.0, STALE_S]))
    def wait(self, passed_s: float) -> None:
        """Time passes; who is alive refreshes its claim."""
        self.now += passed_s
        for file in self.files.values():
            if file.owner.alive and file.owner.working is not None:
                file.refreshed_at = self.now

    @invariant()
    def one_works(self) -> None:
        """Of all that are alive one works on the source at most, and it is done once."""
        assert sum(each.alive and each.working is not None for each in self.processes) <= 1
        assert self.finished <= 1

    def teardown(self) -> None:
        """A new process, five minutes later: the source is done, another works on it, or it is this one's."""
        self.now += STALE_S
        for file in self.files.values():
            if file.owner.alive:
                file.refreshed_at = self.now
        last = Model(2)
        busy = any(each.alive and each.working is not None for each in self.processes)
        for _ in range(3 * len(self.files) + 3):
            self.advance(last)
            if last.working is not None or isinstance(last.step, Standing):
                break
        assert (last.working is not None) == (not busy and not self.finished)
        assert busy or self.finished or last.working is not None


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
