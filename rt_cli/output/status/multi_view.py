"""The live view of several sources: one line for each running source, and one for all. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from rt_cli.errors import EXIT_OK
from rt_cli.events import Final, Summary
from rt_cli.output.status.layout import STATE_STYLES
from rt_cli.output.status.messages import count_noun, seconds
from rt_cli.output.status.view import View, Viewer
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.events import Event, Label
    from rt_cli.output.status.layout import Page, Row

MAX_ROWS = 8
"""Maximum rows of running sources; the others are only counted."""
_NAME_SHARE = 0.4
"""Part of the width for the names."""


class MultiView(Struct, frozen=True):
    """Content of the live view of several sources."""

    sources: int
    running: tuple[View, ...] = ()
    """Views of the running sources, in the order they started."""
    done: int = 0
    failed: int = 0
    skipped: int = 0
    finals: int = 0
    settled_ms: int = 0
    """Settled audio of the sources that are done."""


class MultiViewer:
    """Updates the view with each event, as :class:`~rt_cli.output.status.view.Viewer` does for one source.

    Args:
        sources: Number of sources.
    """

    def __init__(self, sources: int) -> None:
        self.view = MultiView(sources)
        self._viewers: dict[Label, Viewer] = {}

    def take(self, event: Event, now: float, label: Label | None = None) -> bool:
        """Apply an event at ``now`` (seconds, monotonic); returns whether the view changed."""
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
        self.view = replace(
            self.view,
            done=self.view.done + 1,
            failed=self.view.failed + (summary.exit != EXIT_OK),
            skipped=self.view.skipped + bool(summary.skipped),
            settled_ms=self.view.settled_ms + summary.settled_ms,
        )


def progress(view: MultiView) -> str:
    """Format the progress of all sources."""
    settled_ms = view.settled_ms + sum(each.settled_ms for each in view.running)
    parts = [f"{view.done} of {view.sources} done"]
    parts += [f"{view.failed} failed"] * (view.failed > 0) + [f"{view.skipped} skipped"] * (view.skipped > 0)
    return ", ".join(
        [*parts, f"{len(view.running)} running", count_noun(view.finals, "final"), f"{seconds(settled_ms)} settled"]
    )


def multi_view_rows(view: MultiView, page: Page) -> list[Row]:
    """Lay out the view as rows."""
    limit = min(MAX_ROWS, max(0, page.height - 2))
    lines = [_running(each, page) for each in view.running[:limit]]
    if (more := len(view.running) - limit) > 0 and page.height > 1:
        lines.append([(page.fit(f"  and {more} more"), "dim")])
    return [*lines, [(page.fit(f"  {progress(view)}"), "bold")]]


def _running(view: View, page: Page) -> Row:
    """Lay out a running source: state, name, progress, and the text of the current turn."""
    room = max(1, int(page.width * _NAME_SHARE))
    name = page.tail(view.source, room)
    name += " " * (room - page.cells(name))
    position = seconds(view.settled_ms) if view.share is None else f"{view.share:4.0%}"
    head = f" {position:>7}  "
    text_width = page.width - 2 - room - len(head)
    style = STATE_STYLES.get(view.state, "cyan")
    if text_width <= 0:
        return [("* ", style), (page.head(name, page.width - 2), "")]
    text = view.text or (view.state if view.state != "ready" else "")
    return [("* ", style), (name, ""), (head, "dim"), (page.tail(text, text_width), "italic")]
