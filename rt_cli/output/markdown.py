"""Markdown for people: laid out on a terminal, as it is anywhere else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing import TextIO

_COLUMNS = 100
"""Longer lines are hard to read."""


def rendered(text: str, stream: TextIO | None) -> str:
    """Return Markdown as it is to be written to a stream.

    Args:
        text: Markdown that is trusted.
        stream: The destination. On a terminal the text is laid out in its width and, without ``NO_COLOR``, in its own
            colours.
    """
    if stream is None or stream.closed or not stream.isatty():
        return text
    return _laid_out(text)


def _laid_out(text: str) -> str:
    import shutil

    from rich.console import Console
    from rich.markdown import CodeBlock, Markdown
    from rich.text import Text
    from rich.theme import Theme

    if TYPE_CHECKING:
        from rich.console import ConsoleOptions, RenderResult
        from rich.markdown import MarkdownElement

    class Code(CodeBlock):
        """Code whose long lines the terminal wraps: with line ends in between they could not be copied."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            """Yield the lines, two columns from the left."""
            style = console.get_style("markdown.code_block")
            for line in str(self.text).rstrip().splitlines():
                yield Text(f"  {line}", style, no_wrap=True, overflow="ignore")

    class CopyableMarkdown(Markdown):
        elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "fence": Code, "code_block": Code}

    # Rich gives both of them a black background.
    theme = Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"})
    columns = min(shutil.get_terminal_size().columns, _COLUMNS)
    console = Console(file=io.StringIO(), force_terminal=True, width=columns, theme=theme)
    with console.capture() as capture:
        console.print(CopyableMarkdown(text, hyperlinks=False), crop=False)
    return capture.get()
