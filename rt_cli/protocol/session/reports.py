"""The events about a turn before its outcome: speech, segments. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from rt_cli.audio.format import to_ms
from rt_cli.events import SpeechBegan, SpeechEnded, TurnSegment
from rt_cli.protocol.sanitize import printable, printable_id

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import TranscriptSegment
    from rt_cli.protocol.session.turn_list import Turn, TurnList

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
