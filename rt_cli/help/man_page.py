"""Markdown to a man page: roff with the macros of man(7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from markdown_it.token import Token

_SYNOPSIS = r"""\fBrt stream\fR \fB\-\-mic\fR | \fB\-\fR
.br
\fBrt send\fR \fIFILE\fR...
.br
\fBrt\fR \fICOMMAND\fR [\fIOPTIONS\fR] ..."""


def man_page(version: str, commands: Iterable[tuple[str, str]], topics: Iterable[str]) -> str:
    """Return the page ``rt(1)``.

    Args:
        version: Of the program.
        commands: Name and one line of each.
        topics: Markdown of each, whose heading is ``# NAME: what it is about``.
    """
    listed = "\n".join(f".TP\n.B {_escaped(name)}\n{_line(_escaped(text))}" for name, text in commands)
    parts = [
        f'.TH RT 1 "" "rt {_escaped(version)}" "User Commands"',
        f".SH NAME\nrt \\- realtime audio streaming: sound in, words out\n.SH SYNOPSIS\n{_SYNOPSIS}",
        f".SH COMMANDS\n{listed}",
        *(roff(topic) for topic in topics),
    ]
    return "\n".join(parts) + "\n"


def roff(markdown: str) -> str:
    """Return Markdown as roff, without a header: headings, paragraphs, lists, code and tables."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    lines: list[str] = []
    row: list[str] = []
    in_table = False
    for index, token in enumerate(tokens):
        match token.type:
            case "heading_open":
                title = _plain(tokens[index + 1])
                lines.append(f".SH {_escaped(title.upper())}" if token.tag == "h1" else f".SS {_escaped(title)}")
            case "paragraph_open":
                lines.extend([] if token.hidden else [".PP"])
            case "list_item_open":
                lines.append(r".IP \(bu 2" if token.info == "" else f".IP {token.info}. 4")
            case "fence" | "code_block":
                lines.extend([".PP", ".RS 4", ".nf", *map(_line, _escaped(token.content).splitlines()), ".fi", ".RE"])
            case "table_open":
                in_table = True
            case "table_close":
                in_table = False
            case "tr_open":
                row = []
            case "tr_close":
                lines.extend(_row(row))
            case "inline" if in_table:
                row.append(_inline(token))
            case "inline" if tokens[index - 1].type != "heading_open":
                lines.extend(map(_line, _inline(token).splitlines()))
    return "\n".join(lines)


def _row(cells: list[str]) -> list[str]:
    """Return a row as a tagged paragraph: tables of long cells are wider than any terminal."""
    head, *rest = cells
    text = "; ".join(cell for cell in rest if cell)
    return [".TP", _line(head or r"\&"), _line(text)] if text else []


_STYLES = {
    "strong_open": r"\fB",
    "strong_close": r"\fR",
    "em_open": r"\fI",
    "em_close": r"\fR",
    "softbreak": "\n",
    "hardbreak": "\n.br\n",
}
_SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
"""What roff would take for something else, or print as a character that cannot be copied into a shell."""


def _inline(token: Token) -> str:
    parts = []
    for child in token.children or ():
        text = _escaped(child.content)
        parts.append(_STYLES.get(child.type) or (rf"\fB{text}\fR" if child.type == "code_inline" else text))
    return "".join(parts)


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(each) or (each if each.isascii() else rf"\[u{ord(each):04X}]") for each in text)


def _line(text: str) -> str:
    """Return a line that is no request: roff takes a leading dot or quote for one."""
    return rf"\&{text}" if re.match(r"[.']", text) else text
