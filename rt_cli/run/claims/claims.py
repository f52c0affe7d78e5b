"""The claims of a process: taken, refreshed while their sources are worked on, and ended."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.disk.serial_thread import SerialThread
from rt_cli.run.claims.decision import REFRESH_S, Create, Look, Phase, Standing, next_step, standing
from rt_cli.run.claims.folder import ClaimFolder
from rt_cli.run.claims.owner import Owner, Process, process_of, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of this process."""

    identity: str
    """Of the source: hexadecimal digits."""
    number: int | None
    """None: the source is a copy of one that this process has claimed, and needs no claim."""
    predecessors: tuple[Owner, ...] = ()
    """Processes that died while they worked on the source, or were taken for dead."""


class Claims:
    """The claims of this process in a folder. Thread-safe.

    Args:
        folder: Of the claims; created if it is missing.
        owner: This process; None to find out.

    Raises:
        OSError: The folder cannot be used.
    """

    def __init__(self, folder: Path, owner: Owner | None = None) -> None:
        self.owner = owner or this_process()
        self.failure: OSError | None = None
        """The error of the last claim that could not be ended."""
        self._folder = ClaimFolder(folder, self.owner)
        self._lock = threading.Lock()
        self._held: set[tuple[str, int]] = set()
        self._disk: SerialThread | None = None
        self._refresher: threading.Thread | None = None
        self._closed = threading.Event()

    def take(self, identity: str, *, again: bool = False) -> Claim | Standing:
        """Take a source, if it is free. Blocks for a few operations on the disk.

        Args:
            identity: Of the source.
            again: Take it also if it is done.

        Returns:
            The claim, to end with :meth:`finish` or :meth:`release`; or BUSY or DONE.

        Raises:
            OSError: A claim cannot be read or created.
        """
        step: Look | Create | Standing = Look(0)
        dead: list[Owner] = []
        while not isinstance(step, Standing):
            if isinstance(step, Create) and self._folder.create(identity, step.number):
                self._hold(identity, step.number)
                return Claim(identity, step.number, tuple(dead))
            step = next_step(step.number, self._look(identity, step.number, dead, again=again))
        return Claim(identity, None) if step is Standing.OWN else step

    def busy(self, identities: Iterable[str]) -> set[str]:
        """Return those that another process works on. Blocks.

        Raises:
            OSError: A claim cannot be read.
        """
        return {identity for identity in identities if self._is_busy(identity)}

    def finish(self, claim: Claim, on_written: Callable[[], None] | None = None) -> None:
        """Note that a source is done. Callable from any thread. Returns at once and never raises.

        Args:
            claim: Of the source.
            on_written: Called once on a thread, when other processes can read the note; must not raise.
        """
        self._end(claim, Phase.DONE, on_written)

    def release(self, claim: Claim) -> None:
        """Give up a source: another process may take it. Likewise; without effect after :meth:`finish`."""
        self._end(claim, Phase.RELEASED)

    def close(self, deadline_s: float | None = None) -> bool:
        """Give up what is not done, and write what waits. Blocks; idempotent. False if that takes too long.

        Args:
            deadline_s: Maximum time, seconds.
        """
        self._closed.set()
        with self._lock:
            held = list(self._held)
        for identity, number in held:
            self.release(Claim(identity, number))
        return self._disk is None or self._disk.close(deadline_s)

    def _is_busy(self, identity: str) -> bool:
        step: Look | Create | Standing = Look(0)
        while isinstance(step, Look):
            step = next_step(step.number, self._look(identity, step.number, [], again=False))
        return step is Standing.BUSY

    def _look(self, identity: str, number: int, dead: list[Owner], *, again: bool) -> Standing | None:
        found = self._folder.read(identity, number)
        if found is None:
            return None
        owner, working = found.owner, found.phase is Phase.WORKING
        process = Process.UNKNOWN if owner is None or not working else process_of(owner, self.owner)
        age_s = self._folder.server_time() - found.refreshed_at if working and process is Process.UNKNOWN else 0.0
        own = owner is not None and owner.token == self.owner.token
        means = standing(found.phase, process, age_s, own=own, again=again)
        if working and means is Standing.FREE and owner is not None:
            dead.append(owner)
        return means

    def _hold(self, identity: str, number: int) -> None:
        with self._lock:
            self._held.add((identity, number))
            if self._refresher is None:
                self._refresher = threading.Thread(target=self._refresh, name="rt-claims", daemon=True)
                self._refresher.start()

    def _refresh(self) -> None:
        while not self._closed.wait(REFRESH_S):
            with self._lock:
                held = list(self._held)
            for identity, number in held:
                # At worst the claim becomes stale, and the source is worked on twice.
                with suppress(OSError):
                    self._folder.refresh(identity, number)

    def _end(self, claim: Claim, phase: Phase, on_written: Callable[[], None] | None = None) -> None:
        with self._lock:
            self._disk = self._disk or SerialThread("rt-done")
        self._disk.do(partial(self._write, claim, phase, on_written))

    def _write(self, claim: Claim, phase: Phase, on_written: Callable[[], None] | None) -> None:
        try:
            if claim.number is not None and self._drop(claim.identity, claim.number):
                self._folder.write(claim.identity, claim.number, phase)
        except OSError as exc:
            self.failure = exc
        if on_written is not None:
            on_written()

    def _drop(self, identity: str, number: int) -> bool:
        """Hold a claim no longer. False if it was not held: it has ended already."""
        with self._lock:
            if (identity, number) not in self._held:
                return False
            self._held.remove((identity, number))
            return True
