"""What follows from a turn that is over: its final, its failure, or the hole where its final should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import to_ms
from rt_cli.events import Failed, Final, Warned, Withdrawn
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.protocol.session.effects import Drop, Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.protocol.server_events import ErrorInfo
    from rt_cli.protocol.session.effects import Effect
    from rt_cli.protocol.session.turn_list import Turn


def is_silence(turn: Turn, *, detected: bool) -> bool:
    """Whether a turn is but the answer to a commit of ours, over sound in which nobody heard speech.

    Args:
        turn: One that is over.
        detected: Whether anybody looks for speech; only then is hearing none evidence.
    """
    if turn.speech or turn.shown:
        return False
    lost = turn.failure is not None or turn.missing
    return detected if lost else not turn.text.strip()


def settled_by(turn: Turn) -> int:
    """How far a turn settles the timeline; what a guess may have taken from the next turn is not settled by it."""
    return turn.sure if turn.approx and turn.failure is None and not turn.missing else turn.end or 0


def lost(turn: Turn, number: Callable[[Turn], int], rate_hz: int) -> list[Effect]:
    """What is told of a turn that failed or whose final is missing.

    Args:
        turn: With its range.
        number: Gives a turn its number.
        rate_hz: Of the timeline.
    """
    start, end = turn.start or 0, turn.end or 0
    if turn.failure is not None:
        code, said = spoken(turn.failure)
        failed = Failed(number(turn), to_ms(start, rate_hz), to_ms(end, rate_hz), code or "failed", said)
        return [Report(failed), Drop(start, end, "failed")]
    withdrawn: list[Effect] = [Report(Withdrawn(turn.number))] if turn.number is not None and turn.shown else []
    return [*withdrawn, Drop(start, end, "no_final")]


def final(turn: Turn, number: int, rate_hz: int, *, latency_ms: int | None, resumed: bool) -> Final:
    """The final of a turn.

    Args:
        turn: With its range and text.
        number: Of the turn.
        rate_hz: Of the timeline.
        latency_ms: End of speech to now, if that is known.
        resumed: Whether some of its sound had been sent before, on a connection that was lost.
    """
    return Final(
        turn=number,
        text=printable(turn.text).strip(),
        start_ms=to_ms(turn.start or 0, rate_hz),
        end_ms=to_ms(turn.end or 0, rate_hz),
        approx=turn.approx,
        language=printable(turn.language) if turn.language else None,
        latency_ms=latency_ms,
        resumed=resumed,
    )


def warning(error: ErrorInfo) -> Effect:
    """An error that ends nothing."""
    code, said = spoken(error)
    return Report(Warned(code or "endpoint_error", f"the endpoint says: {said or code}"))


def spoken(error: ErrorInfo) -> tuple[str, str]:
    """Code and message of an error, fit to be shown; its type where it has no code."""
    return printable(error.code or error.type), masked(printable(error.message or error.code or error.type))
