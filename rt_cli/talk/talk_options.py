"""What a conversation is made of, beside the settings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.talk.expectations.expectations import Expectations

if TYPE_CHECKING:
    from rt_cli.settings import Settings
    from rt_cli.talk.mcp.server_file import McpServer
    from rt_cli.talk.tools.tool import Tool

_FAST = 100.0
"""Speed of a conversation whose user writes: nobody hears the reply while it is received."""
_VERBATIM = "Repeat the last message of the user word for word. Say nothing else."


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
    """Programs that the endpoint may call."""
    mcp_servers: tuple[McpServer, ...] = ()
    """Servers whose tools it may call."""
    expectations: Expectations = field(default_factory=Expectations)
    junit: Path | None = None
    """A file for the report of the expectations."""
    lines: tuple[str, ...] = ()
    """What the user says instead of typing."""
    said: str | None = None
    """Instructions for the reply to each line."""

    @property
    def outputs(self) -> list[Path | None]:
        """The files that are written; None for one that is not wanted."""
        heard = self.output_audio
        return [Path(heard) if heard not in (None, "-") else None, self.record_both, self.junit]


def written_question(settings: Settings, question: str, *, output_audio: str | None) -> tuple[Settings, TalkOptions]:
    """Return settings and options that ask one question in writing; without a file for sound the answer is text."""
    talk = replace(settings.talk, no_audio=output_audio is None)
    return _fast(replace(settings, talk=talk)), TalkOptions(lines=(question,), output_audio=output_audio)


def spoken_text(
    settings: Settings, text: str, *, output_audio: str, max_difference: float
) -> tuple[Settings, TalkOptions]:
    """Return settings and options that let the endpoint say a text, and expect its words."""
    expectations = Expectations(words=text, max_difference=max_difference)
    options = TalkOptions(lines=(text,), said=_VERBATIM, output_audio=output_audio, expectations=expectations)
    return _fast(settings), options


def _fast(settings: Settings) -> Settings:
    return replace(settings, delivery=replace(settings.delivery, speed=_FAST))
