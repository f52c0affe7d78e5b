"""Which events have the words of a result: what was said, or its translation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.events import Final, Translation

if TYPE_CHECKING:
    from rt_cli.settings import OutputFormat, OutputSettings

Words = type[Final] | type[Translation]


def words_of(settings: OutputSettings, kind: OutputFormat) -> Words:
    """Return the event whose line is the result of a turn. NDJSON has both: there it is the last one of the turn."""
    if not settings.translates or (kind in {"srt", "vtt"} and settings.translate_captions == "original"):
        return Final
    return Translation
