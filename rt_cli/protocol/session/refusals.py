"""Errors of the endpoint that name no event of ours: what they say of the audio. Pure.

Nothing but audio and commits is sent after the handshake, so an error about a request of ours that is not about a
commit is about audio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.errors import EndpointError
from rt_cli.protocol.error_policy import quoted, refuses_audio
from rt_cli.protocol.session.effects import Drop, Effect, Fail
from rt_cli.protocol.session.handshake import about_session
from rt_cli.protocol.session.outcomes import warning

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ErrorInfo
    from rt_cli.protocol.session.reading import Reading

MOST_REFUSALS = 5
"""Refusals in a row, without any sign of a turn between them, that mean that the endpoint takes no audio."""
OUR_EVENTS = "rt_"
"""Event ids of ours begin so."""


def without_foreign_id(error: ErrorInfo) -> ErrorInfo:
    """Return the error without an event id that ``rt`` never sent: it says nothing."""
    foreign = error.event_id is not None and not error.event_id.startswith(OUR_EVENTS)
    return replace(error, event_id=None) if foreign else error


class Refusals:
    """The refusals of one connection."""

    def __init__(self) -> None:
        self.any = False
        """Audio was refused on this connection."""
        self._in_a_row = 0
        self._since: int | None = None
        self._after = 0
        self._perhaps_commit = False

    def receive(self, error: ErrorInfo, reading: Reading, sent: int, *, perhaps_commit: bool) -> list[Effect]:
        """Process an error.

        Args:
            error: An error that ends nothing, and belongs to no commit.
            reading: How far the endpoint had come before.
            sent: Timeline position up to which audio was sent.
            perhaps_commit: It may refuse a commit that waits for its answer: the answer shows that it does not.

        Returns:
            A warning, and a hole where all audio is read already; a failure where the endpoint takes no audio.
        """
        if error.event_id is None and not about_session(error) and refuses_audio(error):
            self.any = True
            # Of two refusals, one at most is that of the commit.
            self._perhaps_commit = perhaps_commit and self._since is None
            if self._since is None:
                self._since = reading.refusable(sent)
            # Where nothing is left to read, no other pong is to come.
            self._after = reading.read if reading.read < sent else self._since
            self._in_a_row += 1
            if self._in_a_row >= MOST_REFUSALS:
                message = f"the endpoint takes no audio: {quoted(error.message or error.code)}"
                hint = "check the model, --chunk-ms and the length of turns (--max-turn)"
                return [*self.note_read(sent), Fail(EndpointError(message, hint, code="audio_refused"))]
            return [*self.note_read(reading.read), warning(error)]
        return [warning(error)]

    def note_turn(self) -> None:
        """Note an event about a turn: the endpoint takes audio."""
        self._in_a_row = 0

    def note_read(self, to: int) -> list[Effect]:
        """Note that the endpoint has read up to ``to`` (timeline): the refused audio lies before it."""
        return [] if self._perhaps_commit or to <= self._after else self._drop(to)

    def note_answered(self, to: int) -> list[Effect]:
        """Note that the endpoint has answered what it has read up to ``to`` (timeline), a commit there included."""
        return self._drop(to)

    def _drop(self, to: int) -> list[Effect]:
        if self._since is None or to <= self._since:
            return []
        since, self._since, self._perhaps_commit = self._since, None, False
        return [Drop(since, to, "refused")]
