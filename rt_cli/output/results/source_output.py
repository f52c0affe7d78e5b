"""The output of one source within a run."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.clock import utc
from rt_cli.contract import ContractEvent
from rt_cli.events import Label
from rt_cli.output.event_masking import mask_event
from rt_cli.output.repeated_warnings import RepeatedWarnings
from rt_cli.output.results.channel_merge import ChannelMerge
from rt_cli.output.results.write_receipts import WriteReceipts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.events import Event, EventHandler
    from rt_cli.output.results.source_order import SourceOrder

    PrintResult = Callable[[Event, Label, WriteReceipts], None]
    OnStatus = Callable[[Event, Label], None]


def stamped(event: Event, wall: float) -> Event:
    """Return an event with the time at which it happened, if it is one for scripts and has none yet.

    Args:
        event: The event.
        wall: Unix time, seconds.
    """
    return replace(event, at=utc(wall)) if isinstance(event, ContractEvent) and not event.at else event


class SourceOutput:
    """Takes the events of a source. Its results are printed after those of all sources opened before it.

    Args:
        name: Name of the source.
        channels: Separate channels; their finals are printed by start time.
        order: Order of the sources.
        print_result: Prints a result.
        on_status: Called with every event at once.
        wall: The wall clock, Unix time.
    """

    def __init__(
        self,
        name: str,
        channels: Sequence[str],
        order: SourceOrder,
        print_result: PrintResult,
        on_status: OnStatus,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._on_status = on_status
        self._wall = wall
        self._receipts = WriteReceipts()
        self._queue = order.open(lambda event, label: print_result(event, label, self._receipts))
        self._merge = ChannelMerge(channels)

    def handler(self, channel: str | None = None) -> EventHandler:
        """Return the event handler of the source, or of one of its channels."""
        label, warnings = Label(self._name, channel), RepeatedWarnings()
        take = partial(self._on_event, label) if channel is None else partial(self._on_channel_event, label, channel)

        def handle(event: Event) -> None:
            for each in warnings.take(mask_event(event)):
                take(stamped(each, self._wall()))

        return handle

    def end(self, on_written: Callable[[], None] | None = None) -> None:
        """End the source: no more events will come.

        Args:
            on_written: Called once, on any thread, when all results of the source are written; must not raise.
        """
        self._queue.end()
        if on_written is not None:
            # The queue may still hold events; the number of lines is known only after they are printed.
            self._queue.call_when_printed(lambda: self._receipts.close(on_written))

    def _on_event(self, label: Label, event: Event) -> None:
        self._on_status(event, label)
        self._queue.take(event, label)

    def _on_channel_event(self, label: Label, channel: str, event: Event) -> None:
        self._on_status(event, label)
        for due_channel, due in self._merge.take(channel, event):
            self._queue.take(due, Label(self._name, due_channel))
