"""The live view in lines of styled text, for any width. Pure; :mod:`rt_cli.output.status.live` draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.output.status.messages import counted, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.output.status.view import View

    Span = tuple[str, str]
    """Text and its style: words as ``bold green``."""
    Row = list[Span]

METER_FLOOR_DBFS = -60.0
LOUD_DBFS = -18.0
HOT_DBFS = -6.0

STATE_STYLES = {"ready": "green", "stalled": "yellow", "lost": "red", "closed": "dim"}
_MARGIN = "  "
_FULL, _EMPTY, _HELD = "█", "·", "┃"


class Page(Struct, frozen=True):
    """The room there is.

    Args:
        width: Columns.
        cells: How many columns a text takes; wide characters take two.
        height: Rows.
    """

    width: int
    cells: Callable[[str], int] = len
    height: int = 24

    def fit(self, *texts: str) -> str:
        """The first text that fits, or else the beginning of the last."""
        for text in texts:
            if self.cells(text) <= self.width:
                return text
        return self.head(texts[-1], self.width)

    def head(self, text: str, width: int) -> str:
        """The beginning of ``text``, at most ``width`` columns."""
        if self.cells(text) <= width:
            return text
        kept = text[: max(0, width - 1)]
        while kept and self.cells(kept) > width - 1:
            kept = kept[:-1]
        return f"{kept}…" if width > 0 else ""

    def tail(self, text: str, width: int) -> str:
        """The end of ``text``, at most ``width`` columns: of a turn in progress the newest words matter."""
        if self.cells(text) <= width:
            return text
        kept = text[-(width - 1) :] if width > 1 else ""
        while kept and self.cells(kept) > width - 1:
            kept = kept[1:]
        return f"…{kept}" if width > 0 else ""


def rows(view: View, page: Page) -> list[Row]:
    """The view, a row a line; their number depends on the source and the terminal alone, so that nothing jumps."""
    # How long each holds out where there are too few lines.
    lines = [
        (9, _heading(view, page)),
        (1, _endpoint(view, page)),
        (4, _meter(view, page)),
        (2, _marks(view, page)),
        (3, [] if view.share is None else _progress(view, view.share, page)),
        (8, _turn(view, page)),
        (7, _controls(view, page) if view.keys or view.heard else []),
    ]
    lines = [(weight, row) for weight, row in lines if row]
    least = sorted((weight for weight, _ in lines), reverse=True)[: max(1, page.height)][-1]
    return [row for weight, row in lines if weight >= least]


def _heading(view: View, page: Page) -> Row:
    state = page.head(view.state, page.width - 2 - len(_MARGIN))
    finals = f"{_MARGIN}{counted(view.finals, 'final')}"
    room = page.width - 2 - page.cells(state) - len(_MARGIN)
    source = f"{view.source} ({view.kind})" if view.kind else view.source
    if page.cells(source) + len(finals) > room:
        source = page.tail(view.source, max(0, room - len(finals)))
    shown = finals if page.cells(source) + len(finals) <= room else ""
    style = STATE_STYLES.get(view.state, "cyan")
    return [("* ", style), (state, f"bold {style}"), (_MARGIN + source, ""), (shown, "dim")]


def _controls(view: View, page: Page) -> Row:
    """Who is heard, and what keys do; the first in a style that nobody overlooks."""
    heard = page.head(view.heard, page.width - len(_MARGIN))
    room = page.width - len(_MARGIN) - page.cells(heard) - 2
    keys = page.head(view.keys, max(0, room))
    style = "bold red" if "MUTED" in heard else "bold"
    return [(_MARGIN, ""), (heard, style), ("  " if heard and keys else "", ""), (keys, "dim")]


def _endpoint(view: View, page: Page) -> Row:
    if not view.endpoint:
        return [(_MARGIN, "")]
    bill = f"  {view.bill}" if view.bill else ""
    texts = (f"{view.endpoint}  {view.model}{bill}", f"{view.model}{bill}" if bill else view.endpoint, view.endpoint)
    return [(page.fit(*(f"{_MARGIN}{text}" for text in texts)), "dim")]


def _meter(view: View, page: Page) -> Row:
    """The level as a bar with the held peak as a mark; the numbers beside it have a fixed width."""
    numbers = f" {view.rms_dbfs:4.0f} dBFS  peak {view.held_dbfs:4.0f}"
    if len(_MARGIN) + len(numbers) + 8 > page.width:
        numbers = f" {view.rms_dbfs:4.0f} dBFS"
    width = max(1, page.width - len(_MARGIN) - len(numbers))
    filled, mark = _cells(view.rms_dbfs, width), min(width, _cells(view.held_dbfs, width))
    bar = (_FULL * filled).ljust(width, _EMPTY)
    if mark > filled:
        bar = bar[: mark - 1] + _HELD + bar[mark:]
    return [(_MARGIN, ""), *((bar[start:end], style) for start, end, style in _zones(width)), (numbers, "")]


def _zones(width: int) -> list[tuple[int, int, str]]:
    """Where the bar is quiet, loud and close to clipping."""
    loud, hot = _cells(LOUD_DBFS, width), _cells(HOT_DBFS, width)
    return [(0, loud, "green"), (loud, hot, "yellow"), (hot, width, "red")]


def _cells(dbfs: float, width: int) -> int:
    """How many of ``width`` cells a level fills."""
    return round(width * min(1.0, max(0.0, 1 - dbfs / METER_FLOOR_DBFS)))


def _marks(view: View, page: Page) -> Row:
    captured, acknowledged, settled = (
        seconds(mark) for mark in (view.captured_ms, view.acknowledged_ms, view.settled_ms)
    )
    lag = f"lag {seconds(view.lag_ms)}"
    trip = "" if view.round_trip_ms is None else f"  round trip {view.round_trip_ms:.0f} ms"
    short_trip = "" if view.round_trip_ms is None else f"  rtt {view.round_trip_ms:.0f} ms"
    return [
        (
            page.fit(
                f"{_MARGIN}captured {captured}  acknowledged {acknowledged}  settled {settled}  {lag}{trip}",
                f"{_MARGIN}cap {captured}  ack {acknowledged}  set {settled}  {lag}{short_trip}",
                f"{_MARGIN}{captured} / {acknowledged} / {settled}  {lag}{short_trip}",
                f"{_MARGIN}{captured} / {acknowledged} / {settled}  {lag}",
            ),
            "",
        )
    ]


def _progress(view: View, share: float, page: Page) -> Row:
    eta = "eta --:--" if view.eta_s is None else f"eta {view.eta_s // 60}:{view.eta_s % 60:02}"
    words = f" {share:4.0%}  {eta:9}"
    width = max(1, page.width - len(_MARGIN) - len(words))
    filled = int(width * share)
    return [
        (_MARGIN, ""),
        (_FULL * filled, "cyan"),
        (_EMPTY * (width - filled), "dim"),
        (words, ""),
    ]


def _turn(view: View, page: Page) -> Row:
    if view.turn is None:
        return [(_MARGIN, "")]
    label = f"{_MARGIN}{view.turn}: "
    return [(label, "dim"), (page.tail(view.text, max(0, page.width - len(label))), "italic")]
