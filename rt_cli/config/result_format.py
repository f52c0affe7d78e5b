"""The format of results, by the names that people give it, and by the ending of a file. Pure."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING, get_args

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.settings import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES: Mapping[str, OutputFormat] = {
    **{name: name for name in get_args(OutputFormat)},
    "txt": "text",
    "plain": "text",
    "ndjson": "json",
    "jsonl": "json",
    "webvtt": "vtt",
    "subrip": "srt",
}


def format_of_name(name: str) -> OutputFormat | None:
    """Return the format with this name, in any case; None for none."""
    return _NAMES.get(name.strip().lower())


def format_of_file(name: str) -> OutputFormat:
    """Return the format for the ending of a file; text without an ending.

    Raises:
        UsageError: No file and no format has such a name, or the ending is unknown.
    """
    if not {".", "/", os.sep} & set(name):
        raise UsageError(
            f"--output is {printable(name)!r}", "give a file, as out.srt, or a format: text, json, srt or vtt"
        )
    if name.endswith(("/", os.sep)) or PurePath(name).name in {"", ".", ".."}:
        raise UsageError(f"--output {printable(name)} is a folder", "--output-dir writes a file for each source there")
    extension = PurePath(name).suffix[1:]
    kind = format_of_name(extension) if extension else "text"
    if kind is None:
        raise UsageError(
            f"--output {printable(name)}: no format is called .{printable(extension)}",
            "use .txt, .srt, .vtt, .json or .jsonl",
        )
    return kind
