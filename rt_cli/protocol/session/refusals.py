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

    def receive(self, error: ErrorInfo, processed: int, read: int, sent: int) -> list[Effect]:
        """Process an error.

        Args:
            error: An error that ends nothing, and belongs to no commit.
            processed: Timeline position up to which the endpoint had surely processed the audio before.
            read: Timeline position up to which it had read the audio before.
            sent: Timeline position up to which audio was sent.

        Returns:
            A warning, and a hole where all audio is read already; a failure where the endpoint takes no audio.
        """
        if error.event_id is None and not about_session(error) and refuses_audio(error):
            self.any = True
            if self._since is None:
                # Where nothing is left to read, the pong of the refused audio came before its refusal.
                self._since = read if read < sent else processed
            self._in_a_row += 1
            if self._in_a_row >= MOST_REFUSALS:
                message = f"the endpoint takes no audio: {quoted(error.message or error.code)}"
                hint = "check the model, --chunk-ms and the length of turns (--max-turn)"
                return [*self.note_read(sent), Fail(EndpointError(message, hint, code="audio_refused"))]
            return [*self.note_read(read), warning(error)]
        return [warning(error)]

    def note_turn(self) -> None:
        """Note an event about a turn: the endpoint takes audio."""
        self._in_a_row = 0

    def note_read(self, to: int) -> list[Effect]:
        """Note that the endpoint has read up to ``to`` (timeline): the refused audio lies before it."""
        if self._since is None or to <= self._since:
            return []
        since, self._since = self._since, None
        return [Drop(since, to, "refused")]
