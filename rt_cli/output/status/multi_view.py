"""What the live view shows of several sources at once: a line for each that runs, and one for all. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from rt_cli.audio.format import to_ms
from rt_cli.errors import EXIT_OK
from rt_cli.events import Final, Summary
from rt_cli.output.status.layout import STATE_STYLES
from rt_cli.output.status.messages import counted, seconds
from rt_cli.output.status.view import View, Viewer
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.events import Event, Label
    from rt_cli.output.status.layout import Page, Row

MOST_ROWS = 8
"""More than these are only counted."""
_SHARE = 0.4
"""Of the width, for the names."""


class MultiView(Struct, frozen=True):
    """Everything that is on the screen."""

    sources: int
    running: tuple[View, ...] = ()
    """In the order they began."""
    done: int = 0
    failed: int = 0
    skipped: int = 0
    finals: int = 0
    settled_ms: int = 0
    """Of those that are done."""


class MultiViewer:
    """Makes the next view out of each event, as :class:`~rt_cli.output.status.view.Viewer` does for one source.

    Args:
        sources: How many there are.
    """

    def __init__(self, sources: int) -> None:
        self.view = MultiView(sources)
        self._viewers: dict[Label, Viewer] = {}

    def take(self, event: Event, now: float, label: Label | None = None) -> bool:
        """Take an event at ``now`` (seconds, monotonic); True if there is something new to see."""
        if label is None:
            return False
        before = self.view
        if isinstance(event, Summary):
            self._viewers.pop(label, None)
            self._end(event)
        else:
            self._viewers.setdefault(label, Viewer()).take(event, now)
        running = tuple(replace(each.view, source=printable(str(name))) for name, each in self._viewers.items())
        finals = self.view.finals + isinstance(event, Final)
        self.view = replace(self.view, running=running, finals=finals)
        return self.view != before

    def _end(self, summary: Summary) -> None:
        settled_ms = to_ms(summary.ledger.settled, summary.rate_hz) if summary.rate_hz else 0
        self.view = replace(
            self.view,
            done=self.view.done + 1,
            failed=self.view.failed + (summary.exit != EXIT_OK),
            skipped=self.view.skipped + summary.skipped,
            settled_ms=self.view.settled_ms + settled_ms,
        )


def progress(view: MultiView) -> str:
    """How far all are, in words."""
    settled_ms = view.settled_ms + sum(each.settled_ms for each in view.running)
    parts = [f"{view.done} of {view.sources} done"]
    parts += [f"{view.failed} failed"] * (view.failed > 0) + [f"{view.skipped} skipped"] * (view.skipped > 0)
    return ", ".join(
        [*parts, f"{len(view.running)} running", counted(view.finals, "final"), f"{seconds(settled_ms)} settled"]
    )


def crowd_rows(view: MultiView, page: Page) -> list[Row]:
    """The view, a row a line."""
    most = min(MOST_ROWS, max(0, page.height - 2))
    lines = [_running(each, page) for each in view.running[:most]]
    if (more := len(view.running) - most) > 0 and page.height > 1:
        lines.append([(page.fit(f"  and {more} more"), "dim")])
    return [*lines, [(page.fit(f"  {progress(view)}"), "bold")]]


def _running(view: View, page: Page) -> Row:
    """Its state, its name, how far it is, and what it is just hearing."""
    room = max(1, int(page.width * _SHARE))
    name = page.tail(view.source, room)
    name += " " * (room - page.cells(name))
    far = seconds(view.settled_ms) if view.share is None else f"{view.share:4.0%}"
    head = f" {far:>7}  "
    left = page.width - 2 - room - len(head)
    style = STATE_STYLES.get(view.state, "cyan")
    if left <= 0:
        return [("* ", style), (page.head(name, page.width - 2), "")]
    text = view.text or (view.state if view.state != "ready" else "")
    return [("* ", style), (name, ""), (head, "dim"), (page.tail(text, left), "italic")]
