"""Effects: what a session wants done. ``Marks`` executes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from rt_cli.errors import RtError
    from rt_cli.events import Event, LossReason


class Settle(Struct, frozen=True):
    """Everything before ``to`` (timeline) is settled."""

    to: int


class Drop(Struct, frozen=True):
    """A range of the timeline (half-open) that no final will cover."""

    start: int
    end: int
    reason: LossReason


class Acknowledge(Struct, frozen=True):
    """An answer of the endpoint proves that it has read the first ``wire`` samples of this connection."""

    wire: int


class Report(Struct, frozen=True):
    """Pass ``event`` to ``on_event``."""

    event: Event


class Fail(Struct, frozen=True):
    """The connection is unusable; the error decides whether to reconnect."""

    error: RtError


class TurnFinished(Struct, frozen=True):
    """A turn has its outcome, which is reported next if it has a number; for a conversation."""

    item_ids: frozenset[str]
    number: int | None
    """Its number; None if it has no final."""
    text: str


Effect = Settle | Drop | Acknowledge | Report | Fail | TurnFinished
