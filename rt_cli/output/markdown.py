"""Markdown for people: laid out on a terminal, as it is anywhere else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

_COLUMNS = 100
"""Longer lines are hard to read."""


def rendered(text: str, stream: TextIO | None) -> str:
    """Return Markdown as it is to be written to a stream.

    Args:
        text: Markdown that is trusted.
        stream: The destination. On a terminal the text is laid out in its width and, without ``NO_COLOR``, its own
            colours.
    """
    if stream is None or stream.closed or not stream.isatty():
        return text
    import shutil

    from rich.console import Console
    from rich.markdown import Markdown
    from rich.theme import Theme

    columns = min(shutil.get_terminal_size().columns, _COLUMNS)
    theme = Theme({"markdown.code": "bold cyan"})  # without the black background that Rich gives it
    console = Console(file=io.StringIO(), force_terminal=True, width=columns, theme=theme)
    with console.capture() as capture:
        # A code theme of the terminal's own colours, and no background.
        console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
    return capture.get()
