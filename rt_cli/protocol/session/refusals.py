"""Errors of the endpoint that name no event of ours: what they say of the audio. Pure.

Nothing but audio and commits is sent after the handshake, so an error about a request of ours that is not about a
commit is about audio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.errors import EndpointError
from rt_cli.protocol.error_policy import quoted, refuses_audio
from rt_cli.protocol.session.effects import Drop, Effect, Fail
from rt_cli.protocol.session.outcomes import warning

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ErrorInfo

MOST_REFUSALS = 5
"""Refusals in a row, without any sign of a turn between them, that mean that the endpoint takes no audio."""
_MOST_KINDS = 1000


class Refusals:
    """The refusals of one connection."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._in_a_row = 0
        self._since: int | None = None

    def receive(self, error: ErrorInfo, read: int) -> list[Effect]:
        """Process an error.

        Args:
            error: An error that ends nothing, and belongs to no commit.
            read: Timeline position up to which the endpoint had read before.

        Returns:
            A warning for the first error of its kind, and for the 10th, the 100th and so on; a failure where the
            endpoint takes no audio.
        """
        effects = self._warn(error)
        if refuses_audio(error):
            self._since = read if self._since is None else self._since
            self._in_a_row += 1
            if self._in_a_row >= MOST_REFUSALS:
                message = f"the endpoint takes no audio: {quoted(error.message or error.code)}"
                hint = "check the model, --chunk-ms and the length of turns (--max-turn)"
                return [Fail(EndpointError(message, hint, code="audio_refused"))]
        return effects

    def note_turn(self) -> None:
        """Note an event about a turn: the endpoint takes audio."""
        self._in_a_row = 0

    def note_read(self, to: int) -> list[Effect]:
        """Note that the endpoint has read up to ``to`` (timeline): the refused audio lies before it."""
        if self._since is None or to <= self._since:
            return []
        since, self._since = self._since, None
        return [Drop(since, to, "refused")]

    def _warn(self, error: ErrorInfo) -> list[Effect]:
        kind = (error.code or error.type, error.message[:_MOST_KINDS])
        if kind not in self._counts and len(self._counts) >= _MOST_KINDS:
            return []
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        digits = str(count)
        return [warning(error, count)] if digits.strip("0") == "1" else []
