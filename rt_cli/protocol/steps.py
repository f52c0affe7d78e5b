"""What a session decides; the streamer carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rt_cli.audio.source import LossReason
    from rt_cli.errors import RtError
    from rt_cli.observations import Observation


@dataclass(frozen=True, slots=True)
class Settle:
    """Everything before ``to`` (timeline) is settled."""

    to: int


@dataclass(frozen=True, slots=True)
class Drop:
    """A range of the timeline will be in no final."""

    start: int
    end: int
    reason: LossReason


@dataclass(frozen=True, slots=True)
class Heard:
    """The endpoint has read the first ``wire`` samples of this connection: its answer proves it."""

    wire: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the observers."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class End:
    """The connection is of no more use; the error says whether another one may be."""

    error: RtError


Step = Settle | Drop | Heard | Tell | End
