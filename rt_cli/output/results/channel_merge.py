"""The finals of several channels in the order in which they were spoken. Pure."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.events import Final, Progress, Summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.events import Event


class ChannelMerge:
    """Holds a final back until no other channel can have an earlier one.

    A channel's next final begins where the channel is settled, or later. So a final may go when every other channel is
    settled up to its beginning, or has a later final waiting, or has ended. What a channel says keeps its order.

    Args:
        channels: Their names.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._marks: dict[str, float] = dict.fromkeys(channels, 0.0)
        self._waiting: dict[str, deque[Event]] = {channel: deque() for channel in channels}

    def take(self, channel: str, event: Event) -> list[tuple[str, Event]]:
        """Take what a channel says; returns what is due now, of any channel."""
        if isinstance(event, Progress):
            self._marks[channel] = max(self._marks[channel], event.settled_ms)
        else:
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
        """The channel whose first event is due."""
        heads = {channel: _begins(waiting[0]) for channel, waiting in self._waiting.items() if waiting}
        if not heads:
            return None
        channel = min(heads, key=heads.__getitem__)
        others = (mark for other, mark in self._marks.items() if other not in heads)
        return channel if min(others, default=math.inf) >= heads[channel] else None


def _begins(event: Event) -> float:
    """When it was spoken, milliseconds; what need not wait, before all others."""
    if isinstance(event, Final) and event.start_ms is not None:
        return event.start_ms
    return -1.0
