"""Warnings that repeat, merged and counted: a flood of them fills neither a terminal nor the memory. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.events import Summary, Total, Warned

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Event

AGAIN_S = 60.0
"""After this time a repeated warning is shown again, whatever its count."""
MAX_MESSAGES, MAX_CODES = 5, 50
"""Messages of one code, and codes, that are counted apart; all others are counted together."""
MAX_CHARS = 2_000


@dataclass(slots=True)
class _Kind:
    code: str
    message: str
    shown_at: float
    several: bool
    """It holds several messages; ``message`` is the first."""
    count: int = 0
    shown: int = 0


class RepeatedWarnings:
    """Shows the first warning of a kind, then its count at 10, 100 and so on, after a minute, and at the end.

    Args:
        now: A monotonic clock, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kinds: dict[tuple[str, str | None], _Kind] = {}
        self._messages: dict[str, int] = {}

    def take(self, event: Event) -> list[Event]:
        """Return the events to show for an event: in its place, or before it."""
        if isinstance(event, Summary | Total):
            return [*self._totals(), event]
        return self._warn(event) if isinstance(event, Warned) else [event]

    def _warn(self, event: Warned) -> list[Event]:
        message = event.message if len(event.message) <= MAX_CHARS else f"{event.message[:MAX_CHARS]}..."
        event = replace(event, code=event.code[:100], message=message)
        kind = self._kind(event.code, message)
        before, kind.count = kind.count, kind.count + 1
        if before and not self._is_due(kind, before):
            return []
        kind.shown, kind.shown_at = kind.count, self._now()
        return [_with_count(kind, "so far") if before else event]

    def _kind(self, code: str, message: str) -> _Kind:
        if (known := self._kinds.get((code, message))) is not None:
            return known
        number = self._messages.get(code, 0)
        if number == 0 and len(self._messages) >= MAX_CODES:
            key: tuple[str, str | None] = ("", None)
        elif number >= MAX_MESSAGES:
            key = (code, None)
        else:
            key = (code, message)
            self._messages[code] = number + 1
        return self._kinds.setdefault(key, _Kind(code, message, self._now(), several=key[1] is None))

    def _is_due(self, kind: _Kind, before: int) -> bool:
        return len(str(kind.count)) > len(str(before)) or self._now() - kind.shown_at >= AGAIN_S

    def _totals(self) -> list[Event]:
        totals: list[Event] = [_with_count(kind, "in all") for kind in self._kinds.values() if kind.count > kind.shown]
        self._kinds.clear()
        self._messages.clear()
        return totals


def _with_count(kind: _Kind, when: str) -> Warned:
    message = f"{kind.message}, and others like it" if kind.several else kind.message
    return Warned(kind.code, f"{message} ({kind.count} times {when})")
