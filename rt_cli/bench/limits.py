"""What a level must keep to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.bench.level import MEASURES, QUANTILES, SHARES
from rt_cli.errors import EXIT_INCOMPLETE, EXIT_OK, UsageError, did_you_mean, worst_exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.bench.level import Level

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)\s*(ms|s|m|%)?")
_MILLISECONDS = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, None: 1000.0}
NAMES = (*(f"{measure}_{quantile}" for measure in MEASURES for quantile in QUANTILES), *SHARES)


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest value that a number of a level may have."""

    name: str
    allowed: float
    """In the unit of the number: milliseconds, a factor, or a share."""

    def held(self, level: Level) -> bool:
        """Whether a level keeps to it; one in which nothing was measured does not."""
        measured = level.value(self.name)
        return measured is not None and measured <= self.allowed


def parse_limit(text: str) -> Limit:
    """A limit from ``final_p95=2s``, ``errors=1%`` or ``rtf_p95=1.2``.

    Raises:
        UsageError: No such number, or a value that does not fit it.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if name not in NAMES:
        known = f"one of {', '.join(MEASURES)} with _p50, _p95, _p99 or _max; or {', '.join(SHARES)}"
        raise UsageError(f"--limit {text}: nothing is called {name!r}", did_you_mean(name, NAMES) or known)
    found = _NUMBER.fullmatch(value) if equals else None
    allowed = _allowed(name, float(found[1]), found[2]) if found else None
    if allowed is None:
        wanted = "2s" if _is_time(name) else "1.2" if name.startswith("rtf") else "5%"
        raise UsageError(f"--limit {text}: no value for {name}", f"as in {name}={wanted}")
    return Limit(name, allowed)


def _is_time(name: str) -> bool:
    return name not in SHARES and not name.startswith("rtf")


def _allowed(name: str, number: float, unit: str | None) -> float | None:
    if _is_time(name):
        return None if unit == "%" else number * _MILLISECONDS[unit]
    if unit == "%" and name in SHARES:
        return number / 100
    return None if unit else number


def passed(limits: Sequence[Limit], level: Level) -> list[Limit]:
    """The limits that a level does not keep to."""
    return [limit for limit in limits if not limit.held(level)]


def holds(limits: Sequence[Limit], level: Level) -> bool:
    """Whether a level keeps to all limits; one that was cut short, or of which every session failed, never does."""
    return bool(level.results) and not (level.cut or level.all_failed or passed(limits, level))


def exit_code(limits: Sequence[Limit], levels: Sequence[Level]) -> int:
    """0 if any level held; else why its sessions failed, or 7 where they did not but a limit was passed."""
    if highest(limits, levels) is not None:
        return EXIT_OK
    return worst_exit([code for level in levels for code in level.exits]) or EXIT_INCOMPLETE


def highest(limits: Sequence[Limit], levels: Sequence[Level]) -> int | None:
    """The most sessions at once that held; None if no level did."""
    return max((level.sessions for level in levels if holds(limits, level)), default=None)
