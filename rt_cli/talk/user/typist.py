"""The user who types: a line after the other, each when the one before it has its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.talk.user.script import missing_reply

if TYPE_CHECKING:
    from rt_cli.talk.partner import Partner
    from rt_cli.talk.position import Position
    from rt_cli.talk.user.typed_lines import LineSource


class Typist:
    """Types lines. A person's line is sent at once, and interrupts; others wait for their turn.

    Args:
        lines: The lines.
        partner: The endpoint.
        position: The clock of the conversation.
        patience: Longest wait for a reply, or for more of one, samples.
        unanswered: Gets what became of lines whose reply did not come, or has no end.
        said: Instructions for the reply to each line.
    """

    def __init__(
        self,
        lines: LineSource,
        partner: Partner,
        position: Position,
        *,
        patience: int,
        unanswered: list[str],
        said: str | None = None,
    ) -> None:
        self._lines = lines
        self._partner = partner
        self._position = position
        self._patience = patience
        self._unanswered = unanswered
        self._said = said
        self._last: str | None = None
        self._typed_at = self._replies_before = 0

    def next(self) -> bool:
        """Type the next line, if it is time for it; return False when the last one has its reply."""
        now = self._position.now()
        rests = self._partner.rests(now)
        if not rests and self._last is not None and now - max(self._typed_at, self._partner.news_at) > self._patience:
            begun = self._partner.replies_begun > self._replies_before
            self._unanswered.append(missing_reply(self._last, begun=begun))
            self._last, rests = None, True
        if self._lines.waiting and (rests or self._lines.interactive):
            self._last, self._typed_at = self._lines.take(), now
            self._replies_before = self._partner.replies_begun
            self._partner.type(self._last, self._said)
            return True
        return self._lines.waiting or not self._lines.ended or not (rests or self._last is None)
