"""What is said of a turn: its speech and its segments, and its outcome: a final, a failure, or a range without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from rt_cli.audio.format import to_ms
from rt_cli.events import Failed, Final, SpeechBegan, SpeechEnded, Translation, TurnSegment, Warned, Withdrawn
from rt_cli.protocol.error_policy import classify_error
from rt_cli.protocol.sanitize import masked, printable, printable_id
from rt_cli.protocol.session.effects import Drop, Fail, Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.protocol.server_events import ErrorInfo, TranscriptSegment
    from rt_cli.protocol.session.effects import Effect
    from rt_cli.protocol.session.turn_list import Turn, TurnList


_MOST_LATENCIES = 20_000


def is_silence(turn: Turn, *, detected: bool) -> bool:
    """Return whether a turn is only the reply to rt's own commit and no speech was detected in it.

    Args:
        turn: A finished turn.
        detected: True if a speech detector runs; without one, "no speech detected" proves nothing.
    """
    if turn.speech or turn.reported:
        return False
    failed = turn.failure is not None or turn.missing
    return detected if failed else not turn.text.strip()


def settled_position(turn: Turn) -> int:
    """Return the timeline position up to which a turn settles. For a guessed end this is its lower bound."""
    return turn.earliest_end if turn.approx and turn.failure is None and not turn.missing else turn.end or 0


def failure_effects(turn: Turn, number: Callable[[Turn], int], rate_hz: int) -> list[Effect]:
    """Build the effects of a turn that failed or has no final.

    Args:
        turn: A finished turn with its range.
        number: Assigns a number to a turn and returns it.
        rate_hz: Sample rate of the timeline.
    """
    start, end = turn.start or 0, turn.end or 0
    if turn.failure is not None:
        code, message = code_and_message(turn.failure)
        failed = Failed(
            number(turn),
            to_ms(start, rate_hz),
            to_ms(end, rate_hz),
            code or "failed",
            message,
            item_id=turn.item_id or UNSET,
        )
        return [Report(failed), Drop(start, end, "failed")]
    withdrawn: list[Effect] = [Report(Withdrawn(turn.number))] if turn.number is not None and turn.reported else []
    return [*withdrawn, Drop(start, end, "no_final")]


def unanswered(start: int, end: int, *, silent: bool) -> Effect:
    """Return the effect of a last commit without an answer.

    Args:
        start: Timeline position up to which everything is settled.
        end: Timeline position of the commit.
        silent: The endpoint has read everything, reports speech, and has reported none here.
    """
    if not silent:
        return Drop(start, end, "no_final")
    message = "the endpoint did not answer the last commit; nobody heard speech before it"
    return Report(Warned("commit_unanswered", message))


def fatal_effects(error: ErrorInfo | None) -> list[Effect]:
    """Return the effect of an error of the endpoint that ends the connection; else an empty list."""
    cause = None if error is None else classify_error(error, configuring=False)
    return [] if cause is None else [Fail(cause)]


def join_drops(effects: list[Effect]) -> list[Effect]:
    """Join ranges that adjoin and are lost for one reason, with no outcome between them: one loss, not hundreds."""
    joined: list[Effect] = []
    last: int | None = None
    for effect in effects:
        before = None if last is None else joined[last]
        match effect, before:
            case Drop(start, end, reason), Drop(first, upto, earlier) if start <= upto and reason == earlier:
                joined[last or 0] = Drop(first, max(end, upto), reason)
                continue
            case Drop(), _:
                last = len(joined)
            case Report(event), _ if not isinstance(event, Withdrawn):
                last = None
        joined.append(effect)
    return joined


def final(turn: Turn, number: int, rate_hz: int, *, latency_ms: int | None, resumed: bool) -> Final:
    """Build the final of a turn.

    Args:
        turn: A finished turn with its range and text.
        number: Number of the turn.
        rate_hz: Sample rate of the timeline.
        latency_ms: Time from the end of speech to now, ms; None if unknown.
        resumed: True if some of its audio was sent before, on a lost connection.
    """
    return Final(
        turn=number,
        text=printable(turn.text).strip(),
        start_ms=to_ms(turn.start or 0, rate_hz),
        end_ms=to_ms(turn.end or 0, rate_hz),
        approx=turn.approx or turn.start_guessed or turn.made or UNSET,
        language=printable(turn.language) if turn.language else UNSET,
        latency_ms=UNSET if latency_ms is None else latency_ms,
        resumed=resumed or UNSET,
        item_id=turn.item_id or UNSET,
        speaker=_only(turn.speakers) or UNSET,
        confidence=UNSET if turn.confidence is None else turn.confidence,
        usage=turn.usage or UNSET,
    )


def translation(turn: Turn, final: Final, language: str) -> Translation:
    """Build the translation that follows a final.

    Args:
        turn: A turn with a translation.
        final: Its final.
        language: Of the translation.
    """
    text = printable(turn.translation or "").strip()
    return Translation(
        turn=final.turn, text=text, language=language, start_ms=final.start_ms, end_ms=final.end_ms, approx=final.approx
    )


def untranslated(final: Final, translation: Translation) -> list[Effect]:
    """Return a warning with the words that have no translation: who reads translations alone sees them nowhere else."""
    if translation.text or not final.text:
        return []
    return [Report(Warned("untranslated", f"turn {final.turn} has no translation: {final.text}"))]


def _only(speakers: set[str | None]) -> str | None:
    """Return the speaker of a turn, if all its segments have the same one."""
    return next(iter(speakers)) if len(speakers) == 1 else None


def warning(error: ErrorInfo) -> Effect:
    """Report an error that does not end the session."""
    code, message = code_and_message(error)
    return Report(Warned(code or "endpoint_error", f"the endpoint says: {message or code}"))


def code_and_message(error: ErrorInfo) -> tuple[str, str]:
    """Return the printable code and message of an error; the type replaces a missing code."""
    return printable(error.code or error.type), masked(printable(error.message or error.code or error.type))


class Latencies:
    """Times from the end of speech to the final.

    Args:
        captured_at: Returns when the sample at a timeline position was captured, seconds; None if unknown.
    """

    def __init__(self, captured_at: Callable[[int], float | None]) -> None:
        self.newest_ms: list[int] = []
        """Those of the newest finals, milliseconds."""
        self._captured_at = captured_at

    def measure(self, turn: Turn, now: float) -> int | None:
        """Return the milliseconds from the end of speech to ``now``, seconds; None if that end is unknown."""
        end = None if turn.approx or turn.made else turn.speech_end
        captured_at = None if end is None else self._captured_at(max(end, turn.start or 0))
        if captured_at is None:
            return None
        latency_ms = max(0, round((now - captured_at) * 1000))
        self.newest_ms.append(latency_ms)
        del self.newest_ms[:-_MOST_LATENCIES]
        return latency_ms


_LONGEST_SEGMENT = 20_000
"""Characters; the final has the whole text."""
_MOST_SPEAKERS = 100
"""Of one turn; more of them say nothing."""


class TurnReports:
    """Builds the events of the turns of one connection.

    Args:
        turns: The turns.
        rate_hz: Sample rate of the timeline.
    """

    def __init__(self, turns: TurnList, rate_hz: int) -> None:
        self._turns = turns
        self._rate_hz = rate_hz

    def start(self, turn: Turn) -> SpeechBegan | None:
        """Return the event that speech began; None if it is unknown where."""
        start_ms = self.start_ms(turn)
        if start_ms is UNSET:
            return None
        return SpeechBegan(self._turns.number(turn), start_ms, turn.item_id or UNSET)

    def stop(self, turn: Turn, position: int) -> SpeechEnded | None:
        """Return the event that speech ended; None if nothing has said that it began.

        Args:
            turn: The turn.
            position: Timeline position up to which audio was sent.
        """
        if not turn.reported or turn.start is None:
            return None
        end = self._turns.end_of(turn, position) if turn.speech_end is None else turn.speech_end
        at_ms = to_ms(max(turn.start, self._turns.covered, end), self._rate_hz)
        return SpeechEnded(self._turns.number(turn), at_ms, turn.item_id or UNSET)

    def segment(self, turn: Turn, event: TranscriptSegment) -> TurnSegment:
        """Return the event of a segment, and note its speaker. Its times count from the start of the turn."""
        speaker = printable_id(event.speaker)
        if len(turn.speakers) < _MOST_SPEAKERS:
            turn.speakers.add(speaker)
        return TurnSegment(
            self._turns.number(turn),
            printable(event.text[:_LONGEST_SEGMENT]).strip(),
            speaker or UNSET,
            self._within(turn, event.start_s),
            self._within(turn, event.end_s),
            item_id=turn.item_id or UNSET,
        )

    def start_ms(self, turn: Turn) -> int | UnsetType:
        """Return the start of a turn, behind the end of the one before; UNSET if it is unknown."""
        return UNSET if turn.start is None else to_ms(max(turn.start, self._turns.covered), self._rate_hz)

    def _within(self, turn: Turn, seconds: float | None) -> int | UnsetType:
        start_ms = self.start_ms(turn)
        return UNSET if start_ms is UNSET or seconds is None else start_ms + round(seconds * 1000)
