"""What a session decides; the streamer carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from rt_cli.audio.source import LossReason
    from rt_cli.errors import RtError
    from rt_cli.events import Observation


class Settle(Struct, frozen=True):
    """Everything before ``to`` (timeline) is settled."""

    to: int


class Drop(Struct, frozen=True):
    """A range of the timeline will be in no final."""

    start: int
    end: int
    reason: LossReason


class Heard(Struct, frozen=True):
    """The endpoint has read the first ``wire`` samples of this connection: its answer proves it."""

    wire: int


class Tell(Struct, frozen=True):
    """Tell the observers."""

    observation: Observation


class End(Struct, frozen=True):
    """The connection is of no more use; the error says whether another one may be."""

    error: RtError


Step = Settle | Drop | Heard | Tell | End
