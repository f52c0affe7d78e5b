"""Finals as text: one line each, for people and for pipes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rt_cli.observations import Final
from rt_cli.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.observations import Observation
    from rt_cli.output.jsonl import WriteLine


class TextOutput:
    """Prints the text of each final that has one; partials and all else are the status's.

    Args:
        write_line: Takes a line without its line end.
        on_printed: Told the turn of each final that was printed, on any thread.
    """

    def __init__(self, write_line: WriteLine, on_printed: Callable[[int], None] | None = None) -> None:
        self._write_line = write_line
        self._on_printed = on_printed

    def observe(self, observation: Observation) -> None:
        """Print a final. Never raises."""
        if isinstance(observation, Final) and (text := printable(observation.text).strip()):
            told = self._on_printed and partial(self._on_printed, observation.turn)
            self._write_line(text, written=told)
