"""The words on the screen that no final has confirmed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.events import Failed, Final, Partial, Summary, Withdrawn
from rt_cli.masking import without_secrets
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.events import Event, Label


class Unconfirmed:
    """The last partial of each turn that is still open."""

    def __init__(self) -> None:
        self._texts: dict[tuple[Label | None, int], str] = {}

    def take(self, event: Event, label: Label | None = None) -> None:
        """Note an event of a run, or of the source with this label."""
        match event:
            case Partial(turn=turn, text=text):
                self._texts[label, turn] = text
            case Final(turn=turn) | Withdrawn(turn=turn) | Failed(turn=turn):
                self._texts.pop((label, turn), None)
            case Summary() if self._texts:
                self._texts = {(each, turn): text for (each, turn), text in self._texts.items() if each != label}

    def lines(self, *, labelled: bool) -> list[str]:
        """Return a printable line for each text, in the order of their first partials.

        Args:
            labelled: Whether each line names its source.
        """
        return [
            without_secrets(printable(f"unconfirmed: {f'{label}: ' if labelled else ''}{text.strip()}"))
            for (label, _), text in self._texts.items()
            if text.strip()
        ]
