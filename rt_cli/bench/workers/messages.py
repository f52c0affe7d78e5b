"""What a bench and its worker processes say to each other, and its frames on a pipe.

Both directions carry a length (four bytes, big-endian) and a pickled object of that length. The first object that a
worker reads is its :class:`~rt_cli.bench.workers.job.BenchJob`, and the first one that it writes is :class:`Ready`.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rt_cli.bench.level import SessionResult, Tally

HEADER = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Start:
    """To a worker: begin a session."""

    session: int
    """Identifies the session in later messages."""
    number: int
    round: int
    since_level_s: float
    """Seconds since the start of the level."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """To a worker: end a session; the second one ends it at once."""

    session: int
    exit_code: int


@dataclass(frozen=True, slots=True)
class Poll:
    """To a worker: send a :class:`Measured`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it can run sessions."""


@dataclass(frozen=True, slots=True)
class Measured:
    """From a worker: the answer to a poll, and before each :class:`Ended`."""

    measures: Tally
    """Values of all its sessions since the report before. The sum of all reports is what was measured."""
    cpu_s: float
    """CPU time of the process so far."""


@dataclass(frozen=True, slots=True)
class Ended:
    """From a worker: a session has ended."""

    session: int
    result: SessionResult | None


@dataclass(frozen=True, slots=True)
class Broken:
    """From a worker: it ends because of an error."""

    reason: str


def frame(message: object) -> bytes:
    """Return a message as a frame."""
    payload = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(payload)) + payload


def parse(payload: bytes) -> Any:
    """Return the message of a frame, without its header."""
    return pickle.loads(payload)  # noqa: S301 - of a parent or a child of ours, over their own pipe
