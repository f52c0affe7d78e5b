"""Markdown for people: laid out on a terminal, as it is anywhere else."""

from __future__ import annotations

import io
from operator import lt
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing import TextIO

_GAP = 2
"""Columns of a terminal that a column of a table needs beside its text."""
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


def column_widths(columns: list[list[str]], room: int) -> list[int]:
    """Return the width of each column: its longest word, and of the rest as much as it has text.

    Args:
        columns: The cells of each column, without styles.
        room: Characters for all columns together, at least 1 for each. Less than all longest words need: the widest
            columns get less.
    """
    from rich.cells import cell_len

    most = [max(map(cell_len, cells)) for cells in columns]
    widths = [max([1, *(cell_len(word) for cell in cells for word in cell.split())]) for cells in columns]
    while sum(widths) > room:
        widths[widths.index(max(widths))] -= 1
    weights = [sum(map(cell_len, cells)) for cells in columns]
    while (spare := room - sum(widths)) > 0 and any(map(lt, widths, most)):
        open_weight = sum(weight for weight, width, full in zip(weights, widths, most, strict=True) if width < full)
        for number, full in enumerate(most):
            if widths[number] < full:
                share = min(full - widths[number], max(1, spare * weights[number] // open_weight), room - sum(widths))
                widths[number] += share
    return widths


def _laid_out(text: str) -> str:
    import shutil

    from rich.console import Console
    from rich.markdown import CodeBlock, Markdown, TableElement
    from rich.table import Table
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

    class ReadableTable(TableElement):
        """A table whose columns are as wide as they need: Rich's are all of one width, and what is longer is cut."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            """Yield the table."""
            head = self.header.row.cells if self.header and self.header.row else []
            rows = [row.cells for row in self.body.rows] if self.body else []
            texts = [[cell.content.plain for cell in column] for column in zip(head, *rows, strict=True)]
            widths = column_widths(texts, options.max_width - _GAP * len(head))
            for table in super().__rich_console__(console, options):
                if isinstance(table, Table):
                    for column, width in zip(table.columns, widths, strict=True):
                        column.width, column.overflow = width, "fold"
                yield table

    class CopyableMarkdown(Markdown):
        elements: ClassVar[dict[str, type[MarkdownElement]]] = {
            **Markdown.elements,
            "fence": Code,
            "code_block": Code,
            "table_open": ReadableTable,
        }

    # Rich gives both of them a black background.
    theme = Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"})
    columns = min(shutil.get_terminal_size().columns, _COLUMNS)
    console = Console(file=io.StringIO(), force_terminal=True, width=columns, theme=theme)
    with console.capture() as capture:
        console.print(CopyableMarkdown(text, hyperlinks=False), crop=False)
    return capture.get()
