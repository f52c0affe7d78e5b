"""One run: the program, in one process or in several that continue each other, in the world of a scenario."""

from __future__ import annotations

import gc
import shutil
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulation import machine
from tests.simulation.endpoint import Endpoint
from tests.simulation.loop import SimulatedLoop
from tests.simulation.machine import Disk, Microphone, Reader, Stdin
from tests.simulation.network import Network
from tests.simulation.server import Service
from tests.simulation.sound import Sound, sound_of
from tests.simulation.watch import Watch
from tests.simulation.world import Violation, World

if TYPE_CHECKING:
    from tests.simulation.scenario import Fault, Scenario

_MOST_PROCESSES = 4
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
    last_fault: float = 0.0
    """When the last fault ended."""
    error: str | None = None
    """The run did not come to an end."""


def run_scenario(scenario: Scenario, *, log: bool = False) -> Course:
    """Run a scenario to its end."""
    world = World(scenario.seed)
    world.log = [] if log else None
    world.thread_delay = scenario.thread_delay
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
        self._faults = Faults(self)

    def run(self) -> None:
        scenario, world = self._scenario, self._world
        argv = self._argv()
        Microphone.present = Microphone(world, self._course.sound)
        if scenario.command == "send":
            machine.write_wav(self._folder / "sound.wav", self._course.sound.pcm)
        pcm = self._course.sound.pcm if scenario.command in {"pipe", "stream"} else None
        stdin = None if pcm is None else Stdin(world, pcm, live=scenario.live)
        self._faults.schedule()
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
        watch = Watch(world, self._course.network)
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
            process.left = [f"{len(self._course.network.open_links)} connections"] * bool(self._course.network.open_links)
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
        common = ["--url", "ws://127.0.0.1:8080/v1/realtime", "--model", "whisper-1", "--turn-detection", scenario.turn_detection]
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


class Faults:
    """Makes the faults of a scenario happen."""

    def __init__(self, run: _Run) -> None:
        self._run, self._course, self._world = run, run._course, run._world

    def schedule(self) -> None:
        """Schedule all faults."""
        for fault in self._course.scenario.faults:
            act = getattr(self, fault.kind)
            self._world.after(fault.at, lambda fault=fault, act=act: self._happen(fault, act))

    def _happen(self, fault: Fault, act: Callable[[Fault], None]) -> None:
        self._world.note(f"fault: {fault.kind} for {fault.lasts:g} s, {fault.value}")
        self._course.last_fault = max(self._course.last_fault, self._world.now + fault.lasts)
        act(fault)

    def _later(self, fault: Fault, call: Callable[[], object]) -> None:
        self._world.after(fault.lasts, call)

    def _links(self) -> list[Any]:
        return self._course.network.open_links

    # -- the network --------------------------------------------------------------------------------------------------

    def reset(self, _fault: Fault) -> None:
        for link in self._links():
            link.reset()

    def fin(self, _fault: Fault) -> None:
        for link in self._links():
            link.server_ends()

    def black_hole(self, fault: Fault) -> None:
        network, links = self._course.network, self._links()
        network.unreachable += 1
        for link in links:
            link.up.freeze(True)
            link.down.freeze(True)

        def heal() -> None:
            network.unreachable -= 1
            for link in links:
                link.up.freeze(False)
                link.down.freeze(False)

        self._later(fault, heal)

    def silent_loss(self, _fault: Fault) -> None:
        """The peer's machine is gone: nothing comes back on these connections, new ones work."""
        for link in self._links():
            link.up.freeze(True)
            link.down.freeze(True)

    def stop_reading(self, fault: Fault) -> None:
        links = self._links()
        for link in links:
            link.up.freeze(True)
        self._later(fault, lambda: [link.up.freeze(False) for link in links])

    def _count(self, name: str, fault: Fault) -> None:
        network = self._course.network
        setattr(network, name, getattr(network, name) + 1)
        self._later(fault, lambda: setattr(network, name, getattr(network, name) - 1))

    def refuse(self, fault: Fault) -> None:
        self.reset(fault)
        self._count("refusing", fault)

    def unreachable(self, fault: Fault) -> None:
        self._count("unreachable", fault)

    def nameless(self, fault: Fault) -> None:
        self.reset(fault)
        self._count("nameless", fault)

    # -- the endpoint -------------------------------------------------------------------------------------------------

    def _peers(self) -> list[Any]:
        return [peer for peer in self._run._service.peers if not peer.ended and peer.session is not None]

    def close(self, fault: Fault) -> None:
        for peer in self._peers():
            peer.hang_up(fault.value, "because")

    def error(self, fault: Fault) -> None:
        error = {"type": "server_error", "code": f"trouble_{fault.value}", "message": "something went wrong"}
        for peer in self._peers():
            peer.send({"type": "error", "error": error})

    def garbage(self, _fault: Fault) -> None:
        for peer in self._peers():
            peer.send_garbage()

    def ping_flood(self, _fault: Fault) -> None:
        for peer in self._peers():
            peer.ping(2000)

    # -- the machine --------------------------------------------------------------------------------------------------

    def stall(self, fault: Fault) -> None:
        self._world.stall(min(fault.lasts, 7.0))

    def sleep(self, fault: Fault) -> None:
        self._world.asleep += fault.lasts
        if fault.lasts > 30:
            for link in self._links():
                link.reset()

    def wall_jump(self, fault: Fault) -> None:
        self._world.wall += fault.lasts * (1 if fault.lasts < 60 else -1)

    def reader_slow(self, fault: Fault) -> None:
        reader = self._run.reader
        if reader is not None:
            reader.stop(1)
            self._later(fault, lambda: reader.stop(-1))

    def reader_gone(self, _fault: Fault) -> None:
        if self._run.reader is not None:
            self._run.reader.leave()

    def disk_slow(self, fault: Fault) -> None:
        disk = self._run._disk
        disk.slow_s, disk.torn = 0.3, self._world.random.random()
        self._later(fault, lambda: setattr(disk, "slow_s", 0.0))

    def disk_full(self, fault: Fault) -> None:
        disk = self._run._disk
        disk.full += 1
        self._later(fault, lambda: setattr(disk, "full", disk.full - 1))

    def device_lost(self, fault: Fault) -> None:
        Microphone.present.lost_until = self._world.now + fault.lasts

    # -- people -------------------------------------------------------------------------------------------------------

    def signal(self, fault: Fault) -> None:
        self._run.signal(fault.value)

    def kill(self, fault: Fault) -> None:
        """Kill in the middle of the writes that follow."""
        disk = self._run._disk
        disk.slow_s, disk.torn = 0.05, fault.value / 1000
        self._world.after(0.2 * fault.value / 1000, self._run.kill)
        self._world.after(0.3, lambda: setattr(disk, "slow_s", 0.0))
