"""The process that holds a claim, and whether it is still there."""

from __future__ import annotations

import os
import secrets
import socket
from enum import Enum
from pathlib import Path

import msgspec

PROC = Path("/proc")
"""Where Linux tells of its processes."""
_DEAD = {b"Z", b"X", b"x"}
"""States of a process that has ended, although its parent has not asked how."""


class Owner(msgspec.Struct, frozen=True):
    """A process."""

    host: str
    """Name of its machine: for people, and to tell copies of a virtual machine apart."""
    place: str
    """Where its process number means something: boot, namespaces of processes and of times. Empty if unknown."""
    pid: int
    started: int
    """When it started, in clock ticks since the boot."""
    token: str
    """Chosen at random: no other process has it."""


class Process(Enum):
    """What this machine knows about a process."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"
    """It runs elsewhere, or this system does not say."""


def this_process() -> Owner:
    """Return this process as an owner, with a new token."""
    place, started = "", 0
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        pid, _, started = _parse((PROC / "self/stat").read_bytes())
        # A /proc of another namespace has other numbers.
        if pid == os.getpid():
            place = f"{boot} {_namespace('pid')} {_namespace('time')}"
    except (OSError, ValueError):  # macOS, Windows, a hidden or old /proc
        pass
    return Owner(socket.gethostname(), place, os.getpid(), started, secrets.token_hex(8))


def process_of(owner: Owner, here: Owner) -> Process:
    """Return whether the process of a claim still runs, as far as this machine can know.

    Args:
        owner: Holds the claim.
        here: This process.
    """
    if not here.place or (owner.place, owner.host) != (here.place, here.host):
        return Process.UNKNOWN
    try:
        _, state, started = _parse((PROC / str(owner.pid) / "stat").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return Process.UNKNOWN if _exists(owner.pid) else Process.GONE
    except (OSError, ValueError):
        return Process.UNKNOWN
    return Process.ALIVE if state not in _DEAD and started == owner.started else Process.GONE


def encode(owner: Owner) -> bytes:
    """Return an owner as one line of JSON."""
    return msgspec.json.encode(owner) + b"\n"


def decode(line: bytes) -> Owner | None:
    """Return the owner in a line; None if it is none, or only its beginning."""
    try:
        return msgspec.json.decode(line, type=Owner)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def _namespace(kind: str) -> str:
    """Return the name of a namespace of this process; nothing if the kernel has none of this kind."""
    try:
        return os.readlink(PROC / "self/ns" / kind)  # noqa: PTH115 - a name, no path
    except FileNotFoundError:
        return ""


def _parse(stat: bytes) -> tuple[int, bytes, int]:
    """Return number, state and start of a process. Its name, in parentheses, may hold anything."""
    number, rest = stat.split(b" ", 1)
    fields = rest[rest.rindex(b")") + 1 :].split()
    if len(fields) < 20:  # noqa: PLR2004 - field 22 of proc_pid_stat(5)
        raise ValueError("not a line of /proc/PID/stat")
    return int(number), fields[0], int(fields[19])


def _exists(pid: int) -> bool:
    """Ask the kernel: a /proc that hides the processes of others does not say."""
    try:
        os.getpriority(os.PRIO_PROCESS, pid)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
