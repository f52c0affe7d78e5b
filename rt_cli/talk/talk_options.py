"""What a conversation is made of, beside the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rt_cli.talk.tools.tool import Tool


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """The options of ``rt talk`` that are no settings."""

    inputs: tuple[str, ...] = ()
    """Sound files, each a turn of the user; a single ``-`` is stdin."""
    mic: bool = False
    output_audio: str | None = None
    """A WAV file for the replies as they were heard; ``-`` is stdout."""
    record_both: Path | None = None
    """A stereo WAV file of both sides."""
    interrupt_at_s: float | None = None
    """Seconds from the first sample of a reply to the next turn; None waits for its end."""
    tools: tuple[Tool, ...] = ()
    """What the endpoint may call."""
    lines: tuple[str, ...] = ()
    """What the user says instead of typing."""

    @property
    def types(self) -> bool:
        """Whether the user types."""
        return not (self.inputs or self.mic or self.lines)
