"""The limits that a level must keep. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.bench.level import MEASURES, QUANTILES, SHARES, TALK_MEASURES
from rt_cli.errors import EXIT_INCOMPLETE, EXIT_OK, EXIT_UNEXPECTED, UsageError, did_you_mean, worst_exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.bench.level import Level

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)\s*(ms|s|m|%)?")
_MILLISECONDS = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, None: 1000.0}


def names_of(measures: Sequence[str]) -> tuple[str, ...]:
    """Return the names that limits on these measures, and on shares, can have."""
    return (*(f"{measure}_{quantile}" for measure in measures for quantile in QUANTILES), *SHARES)


NAMES = names_of(MEASURES)
TALK_NAMES = names_of(TALK_MEASURES)


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest allowed value of one number of a level."""

    name: str
    allowed: float
    """In the unit of the number: milliseconds, a factor, or a share."""

    def is_kept(self, level: Level) -> bool:
        """Return whether a level keeps the limit. A level without a measured value does not."""
        measured = level.value(self.name)
        return measured is not None and measured <= self.allowed


def parse_limit(text: str, *, talk: bool = False) -> Limit:
    """Parse a limit such as ``final_p95=2s``, ``errors=1%`` or ``rtf_p95=1.2``.

    Args:
        text: The limit.
        talk: Whether it is one of conversations.

    Raises:
        UsageError: Unknown name, or an invalid value for it.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    measures, names, others = (TALK_MEASURES, TALK_NAMES, NAMES) if talk else (MEASURES, NAMES, TALK_NAMES)
    if name not in names and name in others:
        kind = "conversations have no such measure" if talk else "only conversations have it"
        raise UsageError(f"--limit {text}: {kind}", "leave out --talk" if talk else "rt bench --talk measures it")
    if name not in names:
        known = f"one of {', '.join(measures)} with _p50, _p95, _p99 or _max; or {', '.join(SHARES)}"
        raise UsageError(f"--limit {text}: nothing is called {name!r}", did_you_mean(name, names) or known)
    found = _NUMBER.fullmatch(value) if equals else None
    allowed = _allowed(name, float(found[1]), found[2]) if found else None
    if allowed is None:
        example = "2s" if _is_time(name) else "1.2" if name.startswith("rtf") else "5%"
        raise UsageError(f"--limit {text}: no value for {name}", f"as in {name}={example}")
    return Limit(name, allowed)


def _is_time(name: str) -> bool:
    return name not in SHARES and not name.startswith("rtf")


def _allowed(name: str, number: float, unit: str | None) -> float | None:
    if _is_time(name):
        return None if unit == "%" else number * _MILLISECONDS[unit]
    if unit == "%" and name in SHARES:
        return number / 100
    return None if unit else number


def exceeded_limits(limits: Sequence[Limit], level: Level) -> list[Limit]:
    """Return the limits that a level exceeds."""
    return [limit for limit in limits if not limit.is_kept(level)]


def holds(limits: Sequence[Limit], level: Level) -> bool:
    """Return whether a level keeps all limits. Never true if it was interrupted, lost a session, or all failed."""
    broken = level.interrupted or level.all_failed or level.lost
    return bool(level.results) and not (broken or exceeded_limits(limits, level))


def exit_code(limits: Sequence[Limit], levels: Sequence[Level]) -> int:
    """Return 0 if any level keeps all limits, and no session is lost; else the worst exit code of the sessions.

    If none of them failed it is 7, or 8 for conversations: they are not what was expected.
    """
    lost = [EXIT_INCOMPLETE for level in levels if level.lost]
    if highest(limits, levels) is not None and not lost:
        return EXIT_OK
    unmet = EXIT_UNEXPECTED if any(level.talks for level in levels) else EXIT_INCOMPLETE
    return worst_exit([*lost, *(code for level in levels for code in level.exits)]) or unmet


def highest(limits: Sequence[Limit], levels: Sequence[Level]) -> int | None:
    """Return the most parallel sessions that keep all limits; None if no level does."""
    return max((level.sessions for level in levels if holds(limits, level)), default=None)
