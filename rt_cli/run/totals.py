"""Summaries of sources that were not sent, and the total of all sources. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli.errors import EXIT_OK, worst_exit
from rt_cli.events import Ledger, Summary, Total

if TYPE_CHECKING:
    from collections.abc import Sequence

_RATE_HZ = 24_000


def unopened_summary(name: str, exit_code: int, wall_ms: int, *, skipped: bool = False) -> Summary:
    """Return the summary of a source that was never opened.

    Args:
        name: Of the source.
        exit_code: Exit code of the source.
        wall_ms: Since the start of the run.
        skipped: An earlier run finished the source: no failure.
    """
    return Summary(
        source=name,
        skipped=skipped or UNSET,
        exit=exit_code,
        complete=skipped,
        rate_hz=_RATE_HZ,
        ledger=Ledger(),
        wall_ms=wall_ms,
    )


def total(summaries: Sequence[Summary], codes: Sequence[int], wall_ms: int) -> Total:
    """Return the total of all sources.

    Args:
        summaries: Of the sources, or of each channel of a split source.
        codes: Additional exit codes: of a signal that kept sources from being sent.
        wall_ms: Since the start of the run.
    """
    return Total(
        exit=worst_exit([*codes, *(summary.exit for summary in summaries)]),
        sources=len(summaries),
        finals=sum(summary.finals for summary in summaries),
        failed_sources=sum(summary.exit != EXIT_OK for summary in summaries),
        captured_ms=sum(summary.captured_ms for summary in summaries),
        settled_ms=sum(summary.settled_ms for summary in summaries),
        dropped_ms=sum(summary.dropped_ms for summary in summaries),
        wall_ms=wall_ms,
        skipped=sum(bool(summary.skipped) for summary in summaries) or UNSET,
    )
