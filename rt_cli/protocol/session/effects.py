"""What a session decides; the streamer carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from rt_cli.audio.source import LossReason
    from rt_cli.errors import RtError
    from rt_cli.events import Event


class Settle(Struct, frozen=True):
    """Everything before ``to`` (timeline) is settled."""

    to: int


class Drop(Struct, frozen=True):
    """A range of the timeline will be in no final."""

    start: int
    end: int
    reason: LossReason


class Acknowledge(Struct, frozen=True):
    """The endpoint has read the first ``wire`` samples of this connection: its answer proves it."""

    wire: int


class Report(Struct, frozen=True):
    """Tell the observers."""

    event: Event


class Fail(Struct, frozen=True):
    """The connection is of no more use; the error says whether another one may be."""

    error: RtError


Effect = Settle | Drop | Acknowledge | Report | Fail
