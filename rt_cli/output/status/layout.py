"""Lay out the live view as rows of styled text for any width. Pure; :mod:`rt_cli.output.status.live` draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.output.status.messages import count_noun, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.output.status.view import View

    Span = tuple[str, str]
    """Text and its style, for example ``bold green``."""
    Row = list[Span]

METER_FLOOR_DBFS = -60.0
LOUD_DBFS = -18.0
HOT_DBFS = -6.0

STATE_STYLES = {"ready": "green", "stalled": "yellow", "lost": "red", "closed": "dim"}
_MARGIN = "  "
_FULL, _EMPTY, _HELD = "█", "·", "┃"


class Page(Struct, frozen=True):
    """The size of the drawing area.

    Args:
        width: Columns.
        cells: Returns the columns of a text; wide characters take two.
        height: Rows.
    """

    width: int
    cells: Callable[[str], int] = len
    height: int = 24

    def fit(self, *texts: str) -> str:
        """Return the first text that fits, or else the beginning of the last one."""
        for text in texts:
            if self.cells(text) <= self.width:
                return text
        return self.head(texts[-1], self.width)

    def head(self, text: str, width: int) -> str:
        """Return the beginning of ``text``, at most ``width`` columns."""
        if self.cells(text) <= width:
            return text
        kept = text[: max(0, width - 1)]
        while kept and self.cells(kept) > width - 1:
            kept = kept[:-1]
        return f"{kept}…" if width > 0 else ""

    def tail(self, text: str, width: int) -> str:
        """Return the end of ``text``, at most ``width`` columns: it has the newest words of a turn."""
        if self.cells(text) <= width:
            return text
        kept = text[-(width - 1) :] if width > 1 else ""
        while kept and self.cells(kept) > width - 1:
            kept = kept[1:]
        return f"…{kept}" if width > 0 else ""


def rows(view: View, page: Page) -> list[Row]:
    """Lay out the view. The number of rows depends only on source and terminal, so that the view does not jump."""
    # Row priority: on a low terminal the rows with the lowest priority are left out.
    lines = [
        (9, _heading(view, page)),
        (1, _endpoint(view, page)),
        (4, _meter(view, page)),
        (2, _marks(view, page)),
        (3, [] if view.share is None else _progress(view, view.share, page)),
        (8, _turn(view, page)),
        (7, _controls(view, page) if view.keys or view.control_state else []),
    ]
    lines = [(priority, row) for priority, row in lines if row]
    lowest = sorted((priority for priority, _ in lines), reverse=True)[: max(1, page.height)][-1]
    return [row for priority, row in lines if priority >= lowest]


def _heading(view: View, page: Page) -> Row:
    state = page.head(view.state, page.width - 2 - len(_MARGIN))
    finals = f"{_MARGIN}{count_noun(view.finals, 'final')}"
    room = page.width - 2 - page.cells(state) - len(_MARGIN)
    source = f"{view.source} ({view.kind})" if view.kind else view.source
    if page.cells(source) + len(finals) > room:
        source = page.tail(view.source, max(0, room - len(finals)))
    suffix = finals if page.cells(source) + len(finals) <= room else ""
    style = STATE_STYLES.get(view.state, "cyan")
    return [("* ", style), (state, f"bold {style}"), (_MARGIN + source, ""), (suffix, "dim")]


def _controls(view: View, page: Page) -> Row:
    """Lay out the state of the controls, in a conspicuous style, and the keys."""
    state = page.head(view.control_state, page.width - len(_MARGIN))
    room = page.width - len(_MARGIN) - page.cells(state) - 2
    keys = page.head(view.keys, max(0, room))
    style = "bold red" if "MUTED" in state else "bold"
    return [(_MARGIN, ""), (state, style), ("  " if state and keys else "", ""), (keys, "dim")]


def _endpoint(view: View, page: Page) -> Row:
    if view.trouble:
        return [(page.fit(f"{_MARGIN}{view.trouble}"), "yellow")]
    if not view.endpoint:
        return [(_MARGIN, "")]
    cost = f"  {view.cost_text}" if view.cost_text else ""
    texts = (
        *([f"{view.endpoint}  {view.model}  ({view.remark}){cost}"] if view.remark else []),
        f"{view.endpoint}  {view.model}{cost}",
        f"{view.model}{cost}" if cost else view.endpoint,
        view.endpoint,
    )
    return [(page.fit(*(f"{_MARGIN}{text}" for text in texts)), "dim")]


def _meter(view: View, page: Page) -> Row:
    """Lay out the level as a bar with a mark for the held peak; the numbers have a fixed width."""
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
    """Return the ranges of the bar that mean quiet, loud and close to clipping, with their styles."""
    loud, hot = _cells(LOUD_DBFS, width), _cells(HOT_DBFS, width)
    return [(0, loud, "green"), (loud, hot, "yellow"), (hot, width, "red")]


def _cells(dbfs: float, width: int) -> int:
    """Return how many of ``width`` cells a level fills."""
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
