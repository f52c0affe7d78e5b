"""One run: the program, in one process or in several that continue each other, in the world of a scenario."""

from __future__ import annotations

import gc
import shutil
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.faults import Faults
from tests.simulation.machine import install as machine
from tests.simulation.machine.disk import Disk
from tests.simulation.machine.loop import SimulatedLoop
from tests.simulation.machine.sources import Microphone, Stdin
from tests.simulation.machine.stdio import Reader
from tests.simulation.machine.world import Violation, World
from tests.simulation.peer.endpoint import Endpoint
from tests.simulation.peer.network import Network
from tests.simulation.peer.server import Service
from tests.simulation.sound import Sound, sound_of
from tests.simulation.watch import Watch

if TYPE_CHECKING:
    from tests.simulation.scenario import Scenario

_MOST_PROCESSES = 4
_LONGEST_S = 1_500.0
"""What no run takes beyond eight times its sound."""
_ONE_INTENTION_S = 0.25
"""Signals that are nearer to each other are one."""
_DISK = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 - in memory


@dataclass
class Process:
    """One process of the program, as it is seen from outside."""

    argv: list[str]
    began: float
    stdout: Reader
    stderr: Reader
    watch: Watch
    exit: int | None = None
    """None if it was killed."""
    ended: float = 0.0
    signals: list[tuple[float, int]] = field(default_factory=list)
    """Times and numbers of the signals that it got."""
    left_spool: bool = False
    """Whether the spool was there at its end."""
    left: list[str] = field(default_factory=list)
    """What it left open."""


@dataclass
class Course:
    """What happened in a run."""

    scenario: Scenario
    sound: Sound
    world: World
    endpoint: Endpoint
    network: Network
    processes: list[Process]
    faults: Faults | None = None
    error: str | None = None
    """The run did not come to an end."""

    @property
    def last_fault(self) -> float:
        """When the last fault ended."""
        return self.faults.over if self.faults else 0.0


def run_scenario(scenario: Scenario, *, log: bool = False) -> Course:
    """Run a scenario to its end."""
    world = World(scenario.seed)
    world.log = [] if log else None
    world.thread_delay, world.deaf = scenario.thread_delay, scenario.deaf
    world.limit = world.now + _LONGEST_S + 8 * scenario.length_s
    machine.threads.Present.world = world
    chance = Random(f"endpoint {scenario.seed}")
    endpoint = Endpoint(scenario.dials, chance)
    service = Service(world, endpoint, scenario.line)
    network = Network(world, scenario.line, service.accept)
    Disk.present = disk = Disk(world)
    sound = sound_of(scenario.before_ms, scenario.turns)
    folder = Path(tempfile.mkdtemp(prefix="rt-simulation-", dir=_DISK))
    course = Course(scenario, sound, world, endpoint, network, [])
    try:
        _Run(course, service, disk, folder).run()
    except Violation as exc:
        course.error = f"{type(exc).__name__} {exc}"
    except Exception:  # noqa: BLE001 - a fault of the simulation, or of what it calls
        course.error = f"the simulation failed: {traceback.format_exc(limit=-6)}"
    finally:
        world.dead = True
        _bury(world)
        disk.close()
        shutil.rmtree(folder, ignore_errors=True)
    return course


def _bury(world: World) -> None:
    """Let what a process has left disappear without a word."""
    world.loop = None
    world.watch = lambda: None
    world.bury()
    gc.collect(0)
    world.dead = False


class _Run:
    def __init__(self, course: Course, service: Service, disk: Disk, folder: Path) -> None:
        self._course, self._service, self._disk, self._folder = course, service, disk, folder
        self._scenario, self._world = course.scenario, course.world
        self._spool = folder / "spool"
        self._process: Process | None = None
        self._faults = Faults(course.world, course.network, service, disk, self)

    def run(self) -> None:
        scenario, world = self._scenario, self._world
        argv = self._argv()
        Microphone.present = Microphone(world, self._course.sound)
        if scenario.command == "send":
            machine.write_wav(self._folder / "sound.wav", self._course.sound.pcm)
        pcm = self._course.sound.pcm if scenario.command in {"pipe", "stream"} else None
        stdin = None if pcm is None else Stdin(world, pcm, live=scenario.live)
        self._faults.schedule(scenario.faults)
        self._course.faults = self._faults
        while len(self._course.processes) < _MOST_PROCESSES:
            process = self._start(argv, stdin)
            if process.exit is not None and not self._resumable(process):
                return
            argv, stdin = ["send", *self._common(), "--speed", "max", "--resume", str(self._spool)], None

    def _resumable(self, process: Process) -> bool:
        """Whether somebody would resume: what was left is on disk, and there was a reason."""
        if process.exit == 2 and self._disk.full:
            while self._disk.full and self._world.step(self._world.now + 60):
                pass
        elif process.exit not in {0, 4, 5, 6, 7, 130, 143}:
            return False
        return (self._spool / "journal.jsonl").exists()

    def _start(self, argv: list[str], stdin: Stdin | None) -> Process:
        world, scenario = self._world, self._scenario
        stdout, stderr = Reader(world, scenario.reader_rate), Reader(world, 1e9)
        watch = Watch(world, self._course.endpoint, scenario.memory_s)
        process = Process(argv, world.now, stdout, stderr, watch)
        self._process = process
        self._course.processes.append(process)
        world.note("rt " + " ".join(argv))
        world.watch = watch.step

        def make_loop() -> SimulatedLoop:
            return SimulatedLoop(world, self._course.network, machine.SIGNALS)

        with watch:
            process.exit = machine.run_program(world, argv, stdin, stdout, stderr, make_loop)
        process.ended = world.now
        process.left_spool = (self._spool / "journal.jsonl").exists()
        world.note(f"rt ended with {process.exit}")
        world.watch = lambda: None
        self._clean_up(process)
        return process

    def _clean_up(self, process: Process) -> None:
        world = self._world
        killed = process.exit is None
        if not killed:
            try:  # what is on its way arrives
                while world.now < process.ended + 1 and world.step(process.ended + 1):
                    pass
            except Violation:
                pass
            process.left = [f"{len(self._course.network.open_links)} connections"] * bool(
                self._course.network.open_links
            )
        for link in self._course.network.open_links:
            link.reset()
        world.dead = True
        _bury(world)
        names = self._disk.close()
        process.left += [] if killed else names

    def _argv(self) -> list[str]:
        scenario = self._scenario
        spool = ["--spool", str(self._spool)] if scenario.spool else []
        match scenario.command:
            case "send":
                what = ["send", str(self._folder / "sound.wav")]
            case "pipe":
                what = ["send", "-", "--sample-rate", "24000"]
            case "stream":
                what = ["stream", "-", "--sample-rate", "24000"]
            case _:
                what = ["stream", "--mic", "--duration", f"{scenario.length_s:g}"]
        return [*what, *self._common(), *spool, *scenario.options]

    def _common(self) -> list[str]:
        scenario = self._scenario
        common = [
            "--url",
            "ws://127.0.0.1:8080/v1/realtime",
            "--model",
            "whisper-1",
            "--turn-detection",
            scenario.turn_detection,
        ]
        common += ["--silence-ms", str(scenario.silence_ms), "--prefix-ms", "0"]
        return common if scenario.text else [*common, "--json"]

    # -- for the faults -----------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """Kill the present process."""
        if self._process is not None and not self._process.ended:
            self._world.note("kill")
            self._world.dead = True

    def signal(self, number: int) -> None:
        """Send the present process a signal."""
        if self._process is not None and not self._process.ended and machine.SIGNALS:
            signals, now = self._process.signals, self._world.now
            if not signals or now - signals[-1][0] >= _ONE_INTENTION_S:
                signals.append((now, number))
            machine.send_signal(number)

    @property
    def reader(self) -> Reader | None:
        """The reader of stdout."""
        return self._process.stdout if self._process else None
