"""What is said on stderr, in words: one line for each event that a person should know of. Pure.

Only an error starts with ``rt:``; so a script, or a person who greps, finds the cause of a failure and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from rt_cli.audio.format import to_ms
from rt_cli.events import (
    ControlChanged,
    Cost,
    Dropped,
    Errored,
    Failed,
    Noted,
    SessionChanged,
    SourceOpened,
    Summary,
    Total,
    Warned,
)
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.events import Event, Label

Level = Literal["all", "warnings", "errors"]
"""How much is said: all that changes, what is wrong, or only what ended the run."""


def note(event: Event, level: Level = "all", label: Label | None = None) -> str | None:
    """The line for an event, without a line end and fit for a terminal; None where there is nothing to say.

    Args:
        event: What happened.
        level: What is worth saying.
        label: Of whom, where several are heard at once.
    """
    if isinstance(event, Summary) and label is not None:
        event = replace(event, source=str(label))
    said = _error(event)
    if said is None and level != "errors":
        said = _warning(event)
    if said is None and level == "all":
        said = _news(event)
    return None if said is None else printable(said if label is None else _labelled(said, label))


def _labelled(said: str, label: Label) -> str:
    """Said of whom; the heads that scripts look for stay in front."""
    if str(label) in said:
        return said
    for head in ("rt: ", "warning: "):
        if said.startswith(head):
            return f"{head}{label}: {said.removeprefix(head)}"
    return f"{label}: {said}"


def seconds(ms: int) -> str:
    """Milliseconds as a person reads them, rounded down: ``12.3 s``, ``5:07``, ``1:02:03``."""
    if ms < 60_000:  # noqa: PLR2004  a minute is a minute
        return f"{ms // 100 / 10} s"
    minutes, rest = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, noun: str) -> str:
    """``1 final``, ``2 finals``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def money(cost: Cost) -> str:
    """An amount as a person reads it: to the cent, or to a hundredth of one where it is less than one unit."""
    return f"{cost.amount:.2f} {cost.currency}" if cost.amount >= 1 else f"{cost.amount:.4f} {cost.currency}"


def controls(change: ControlChanged) -> str:
    """Who is heard."""
    said = {None: "" if change.muted else "unmuted", True: "talking", False: "not talking"}[change.talking]
    return ", ".join(part for part in (said, "MUTED" if change.muted else "") if part)


def _error(event: Event) -> str | None:
    if not isinstance(event, Errored):
        return None
    return f"rt: {event.message}: {event.hint}" if event.hint else f"rt: {event.message}"


def _warning(event: Event) -> str | None:
    match event:
        case Warned(message=message):
            return f"warning: {message}"
        case Failed(turn=turn, start_ms=start, message=message):
            return f"warning: turn {turn} at {seconds(start)} was not transcribed: {message}"
        case Dropped(start_ms=start, end_ms=end, reason=reason) if reason != "failed":  # its Failed has said so
            return f"warning: {seconds(end - start)} of sound lost at {seconds(start)}: {reason}"
        case _:
            return None


def _news(event: Event) -> str | None:
    match event:
        case Noted(message=message):
            return message
        case SourceOpened():
            return _source(event)
        case SessionChanged():
            return _session(event)
        case Summary():
            return _summary(event)
        case ControlChanged():
            return controls(event)
        case Total(sources=sources, finals=finals, captured_ms=captured, wall_ms=wall):
            apart = [f"{count} {kind}" for count, kind in _apart(event) if count]
            of = f" ({', '.join(apart)})" if apart else ""
            heard = f"{seconds(captured)} captured, {counted(finals, 'final')} in {seconds(wall)}"
            return f"total: {counted(sources, 'source')}{of}, {heard}"
        case _:
            return None


def _apart(total: Total) -> list[tuple[int, str]]:
    return [(total.failed_sources, "failed"), (total.skipped, "skipped")]


def _source(source: SourceOpened) -> str:
    channels = {1: "mono", 2: "stereo"}.get(source.channels, counted(source.channels, "channel"))
    length = "" if source.duration_ms is None else f", {seconds(source.duration_ms)}"
    return f"source: {source.name} ({source.kind}, {source.rate_hz} Hz, {channels}{length})"


def _session(session: SessionChanged) -> str:
    said = f"{session.state.replace('_', ' ')}: {session.endpoint}"
    if session.state == "ready":
        said += f" ({', '.join(part for part in (session.dialect, session.model) if part)}, {session.rate_hz} Hz)"
    if session.attempt > 1:
        said += f", attempt {session.attempt}"
    return f"{said}: {session.reason}" if session.reason else said


def _summary(summary: Summary) -> str:
    if summary.skipped:
        return f"skipped: {summary.source}: an earlier run has finished it"
    ledger = summary.ledger
    parts = [f"{_length(ledger.captured, summary)} captured"]
    if ledger.dropped:
        parts.append(f"{_length(ledger.dropped, summary)} dropped")
    if rest := ledger.acknowledged + ledger.in_flight + ledger.waiting:
        parts.append(f"{_length(rest, summary)} unsettled")
    parts.append(f"{counted(summary.finals, 'final')} in {seconds(summary.wall_ms)}")
    if summary.gated:
        parts.append(f"{_length(summary.gated, summary)} not sent")
    if summary.cost:
        parts.append(money(summary.cost))
    if summary.reconnects:
        parts.append(counted(summary.reconnects, "reconnect"))
    # Not complete and no failure: whoever read the results has left.
    short = f"incomplete (exit {summary.exit})" if summary.exit else "ended"
    verdict = "done" if summary.complete else short
    return f"{verdict}: {summary.source}: {', '.join(parts)}"


def _length(samples: int, summary: Summary) -> str:
    return seconds(to_ms(samples, summary.rate_hz) if summary.rate_hz else 0)
