"""One source's place among the results of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rt_cli.events import Label
from rt_cli.output.results.channel_merge import ChannelMerge
from rt_cli.output.results.write_receipts import WriteReceipts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.events import Event, EventHandler
    from rt_cli.output.results.source_order import InOrder

    Print = Callable[[Event, Label, WriteReceipts], None]
    Tell = Callable[[Event, Label], None]


class SourceOutput:
    """Takes what happens to a source; its results are printed after those of all places that were made before it.

    Args:
        name: Of the source.
        channels: Which are told apart: their finals are printed in the order of their beginnings.
        order: Of the places.
        show: Prints a result.
        status: Told everything at once.
    """

    def __init__(self, name: str, channels: Sequence[str], order: InOrder, show: Print, status: Tell) -> None:
        self._name = name
        self._status = status
        self._receipts = WriteReceipts()
        self._lane = order.open(lambda event, label: show(event, label, self._receipts))
        self._merge = ChannelMerge(channels)

    def handler(self, channel: str | None = None) -> EventHandler:
        """What is to be told of the source, or of one of its channels."""
        label = Label(self._name, channel)
        return partial(self._on_event, label) if channel is None else partial(self._merged, label, channel)

    def end(self, on_written: Callable[[], None] | None = None) -> None:
        """Nothing more will be told.

        Args:
            on_written: Called once, on any thread, when all results of the source are written; must not raise.
        """
        self._lane.end()
        if on_written is not None:
            # What the lane holds back is handed over later; only then is it known how much there is.
            self._lane.when_shown(lambda: self._receipts.close(on_written))

    def _on_event(self, label: Label, event: Event) -> None:
        self._status(event, label)
        self._lane.take(event, label)

    def _merged(self, label: Label, channel: str, event: Event) -> None:
        self._status(event, label)
        for spoken, due in self._merge.take(channel, event):
            self._lane.take(due, Label(self._name, spoken))
