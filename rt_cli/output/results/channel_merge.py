"""Merge the finals of several channels by start time. Pure."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli.events import Final, Progress, Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.events import Event


class ChannelMerge:
    """Delays a final until no other channel can have an earlier one.

    The next final of a channel starts at its settled mark or later. So a final is due when every other channel has
    settled up to its start, or has a later final waiting, or has ended. Events of one channel keep their order.

    Args:
        channels: Names of the channels.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._marks: dict[str, float] = dict.fromkeys(channels, 0.0)
        self._waiting: dict[str, deque[Event]] = {channel: deque() for channel in channels}

    def take(self, channel: str, event: Event) -> list[tuple[str, Event]]:
        """Take an event of a channel; returns the events of all channels that are due now."""
        if isinstance(event, Progress):
            self._marks[channel] = max(self._marks[channel], event.settled_ms)
            return [*self._due(), (channel, event)]
        self._waiting[channel].append(event)
        if isinstance(event, Summary):
            self._marks[channel] = math.inf
        return self._due()

    def _due(self) -> list[tuple[str, Event]]:
        due: list[tuple[str, Event]] = []
        while (channel := self._next()) is not None:
            due.append((channel, self._waiting[channel].popleft()))
        return due

    def _next(self) -> str | None:
        """Return the channel whose first event is due, or None."""
        heads = {channel: _start_ms(waiting[0]) for channel, waiting in self._waiting.items() if waiting}
        if not heads:
            return None
        channel = min(heads, key=heads.__getitem__)
        others = (mark for other, mark in self._marks.items() if other not in heads)
        return channel if min(others, default=math.inf) >= heads[channel] else None


def _start_ms(event: Event) -> float:
    """Return the start of a final, ms; -1 for events that need not wait."""
    if isinstance(event, Final) and event.start_ms is not UNSET:
        return event.start_ms
    return -1.0
