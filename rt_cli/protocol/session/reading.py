"""How far an endpoint has come with the audio of one connection. Pure; timeline positions."""

from __future__ import annotations

_UNREAD_S, _MAX_UNREAD_S = 1.0, 4.0
"""Audio that an endpoint may have received but not processed: one chunk of the largest size; of audio that came within
a moment, the 256 KiB that servers take from a socket at once, answering the pings in it first."""


class Reading:
    """What pongs and events show.

    Args:
        start: Timeline position at which the connection begins to send.
        rate_hz: Sample rate of the timeline.
    """

    def __init__(self, start: int, rate_hz: int) -> None:
        self.read = start
        """Position up to which the endpoint has read the audio."""
        self.answered = start
        """Position before which it has nothing more to say but the words of its turns."""
        self._before = start
        self._usual, self._most = round(_UNREAD_S * rate_hz), round(_MAX_UNREAD_S * rate_hz)

    @property
    def processed(self) -> int:
        """Position up to which the endpoint has surely processed what it has read: no turn ends before."""
        return max(self.read - self._most, min(self.read - self._usual, self._before))

    def refusable(self, sent: int) -> int:
        """Return the position before which nothing can be refused any more.

        Args:
            sent: Position up to which audio was sent. Where all of it is read, the pong of the refused audio came
                before its refusal.
        """
        return min(self.answered, self.read if self.read < sent else self.processed)

    def note_check(self) -> None:
        """Note one of the regular checks."""
        self._before = self.read

    def note_read(self, to: int, *, awaits_words: bool) -> None:
        """Note that the endpoint has read everything before ``to``.

        Args:
            to: Position.
            awaits_words: Words of a turn are missing: what is said of later audio may wait for them, a pong does not.
        """
        self.read = max(self.read, to)
        if not awaits_words:
            self.answered = max(self.answered, self.read)

    def note_answered(self, to: int) -> None:
        """Note an event about audio before ``to``: what was to be said of earlier audio has come."""
        self.answered = max(self.answered, to)
