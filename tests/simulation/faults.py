"""What goes wrong, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tests.simulation.machine.sources import Microphone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.machine.disk import Disk
    from tests.simulation.machine.stdio import Reader
    from tests.simulation.machine.world import World
    from tests.simulation.peer.network import Network
    from tests.simulation.peer.server import Service
    from tests.simulation.scenario import Fault


class Victim(Protocol):
    """The process that faults happen to."""

    @property
    def reader(self) -> Reader | None:
        """The reader of its stdout."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...

    def signal(self, number: int) -> None:
        """Send it a signal."""
        ...


class Faults:
    """Makes faults happen: each public method but ``schedule`` is a kind.

    Args:
        world: Where.
        network: Its connections.
        service: The endpoint's ends of them.
        disk: Where the spool is.
        victim: The program.
    """

    def __init__(self, world: World, network: Network, service: Service, disk: Disk, victim: Victim) -> None:
        self.over = 0.0
        """When the last fault so far ends."""
        self._world, self._network, self._service, self._disk, self._victim = world, network, service, disk, victim

    def schedule(self, faults: Sequence[Fault]) -> None:
        """Schedule faults."""
        for fault in faults:
            act = getattr(self, fault.kind)
            self._world.after(fault.at, lambda fault=fault, act=act: self._happen(fault, act))

    def _happen(self, fault: Fault, act: Callable[[Fault], None]) -> None:
        self._world.note(f"fault: {fault.kind} for {fault.lasts:g} s, {fault.value}")
        self.over = max(self.over, self._world.now + fault.lasts)
        act(fault)

    def _later(self, fault: Fault, call: Callable[[], object]) -> None:
        self._world.after(fault.lasts, call)

    def _links(self) -> list[Any]:
        return self._network.open_links

    # -- the network --------------------------------------------------------------------------------------------------

    def reset(self, _fault: Fault) -> None:
        """Cut all connections."""
        for link in self._links():
            link.reset()

    def fin(self, _fault: Fault) -> None:
        """End all connections from the other side."""
        for link in self._links():
            link.server_ends()

    def black_hole(self, fault: Fault) -> None:
        """Nothing gets through, in neither direction."""
        network, links = self._network, self._links()
        network.unreachable += 1
        for link in links:
            link.up.freeze(frozen=True)
            link.down.freeze(frozen=True)

        def heal() -> None:
            network.unreachable -= 1
            for link in links:
                link.up.freeze(frozen=False)
                link.down.freeze(frozen=False)

        self._later(fault, heal)

    def silent_loss(self, _fault: Fault) -> None:
        """The peer's machine is gone: nothing comes back on these connections, new ones work."""
        for link in self._links():
            link.up.freeze(frozen=True)
            link.down.freeze(frozen=True)

    def stop_reading(self, fault: Fault) -> None:
        """The endpoint reads no more."""
        links = self._links()
        for link in links:
            link.up.freeze(frozen=True)
        self._later(fault, lambda: [link.up.freeze(frozen=False) for link in links])

    def _count(self, name: str, fault: Fault) -> None:
        network = self._network
        setattr(network, name, getattr(network, name) + 1)
        self._later(fault, lambda: setattr(network, name, getattr(network, name) - 1))

    def refuse(self, fault: Fault) -> None:
        """Cut all connections, and refuse new ones."""
        self.reset(fault)
        self._count("refusing", fault)

    def unreachable(self, fault: Fault) -> None:
        """New connections get no answer."""
        self._count("unreachable", fault)

    def nameless(self, fault: Fault) -> None:
        """Cut all connections; the name of the endpoint is not known."""
        self.reset(fault)
        self._count("nameless", fault)

    # -- the endpoint -------------------------------------------------------------------------------------------------

    def _peers(self) -> list[Any]:
        return [peer for peer in self._service.peers if not peer.ended and peer.session is not None]

    def close(self, fault: Fault) -> None:
        """The endpoint closes all sessions."""
        for peer in self._peers():
            peer.hang_up(fault.value, "because")

    def error(self, fault: Fault) -> None:
        """The endpoint says that something went wrong."""
        error = {"type": "server_error", "code": f"trouble_{fault.value}", "message": "something went wrong"}
        for peer in self._peers():
            peer.send({"type": "error", "error": error})

    def garbage(self, _fault: Fault) -> None:
        """The endpoint says what is no event."""
        for peer in self._peers():
            peer.send_garbage()

    def ping_flood(self, _fault: Fault) -> None:
        """The endpoint pings without an end."""
        for peer in self._peers():
            peer.ping(2000)

    # -- the machine --------------------------------------------------------------------------------------------------

    def stall(self, fault: Fault) -> None:
        """The program gets no processor."""
        self._world.stall(min(fault.lasts, 7.0))

    def sleep(self, fault: Fault) -> None:
        """The machine sleeps."""
        self._world.asleep += fault.lasts
        if fault.lasts > 30:
            for link in self._links():
                link.reset()

    def wall_jump(self, fault: Fault) -> None:
        """Somebody sets the clock."""
        self._world.wall += fault.lasts * (1 if fault.lasts < 60 else -1)

    def reader_slow(self, fault: Fault) -> None:
        """The reader of stdout reads no more for a while."""
        reader = self._victim.reader
        if reader is not None:
            reader.stop(1)
            self._later(fault, lambda: reader.stop(-1))

    def reader_gone(self, _fault: Fault) -> None:
        """The reader of stdout leaves."""
        if self._victim.reader is not None:
            self._victim.reader.leave()

    def disk_slow(self, fault: Fault) -> None:
        """Writes take long."""
        disk = self._disk
        disk.slow_s, disk.torn = 0.3, self._world.random.random()
        self._later(fault, lambda: setattr(disk, "slow_s", 0.0))

    def disk_full(self, fault: Fault) -> None:
        """Writes are refused."""
        disk = self._disk
        disk.full += 1
        self._later(fault, lambda: setattr(disk, "full", disk.full - 1))

    def device_lost(self, fault: Fault) -> None:
        """The microphone loses all sound."""
        Microphone.present.lost_until = self._world.now + fault.lasts

    # -- people -------------------------------------------------------------------------------------------------------

    def signal(self, fault: Fault) -> None:
        """Somebody ends the program."""
        self._victim.signal(fault.value)

    def kill(self, fault: Fault) -> None:
        """Kill in the middle of the writes that follow."""
        disk = self._disk
        disk.slow_s, disk.torn = 0.05, fault.value / 1000
        self._world.after(0.2 * fault.value / 1000, self._victim.kill)
        self._world.after(0.3, lambda: setattr(disk, "slow_s", 0.0))

    def kill_in_record(self, fault: Fault) -> None:
        """Kill in the middle of the next record of a kind, just before it or just behind it."""
        kind = (b'"type":"final"', b'"type":"settled"', b'"type":"printed"')[fault.value % 3]
        self._disk.ambush = (kind, min(max(fault.value / 500 - 0.5, 0.0), 1.0), self._victim.kill)
