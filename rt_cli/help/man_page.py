"""Markdown to a man page: roff with the macros of man(7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    parser = MarkdownIt("commonmark").enable("table")
    return "\n".join(_block(SyntaxTreeNode(parser.parse(markdown))))


def _block(node: SyntaxTreeNode) -> list[str]:
    match node.type:
        case "heading":
            title = "".join(each.content for each in node.children[0].children)
            return [f".SH {_escaped(title.upper())}" if node.tag == "h1" else f".SS {_escaped(title)}"]
        case "fence" | "code_block":
            return [".PP", ".RS 4", ".nf", *map(_line, _escaped(node.content).splitlines()), ".fi", ".RE"]
        case "tr":
            return _row([_inline(cell) for cell in node.children])
        case "inline":
            return [_line(line) for line in _inline(node).splitlines()]
    begin = []
    if node.type == "paragraph" and not node.hidden:
        begin = [".PP"]
    elif node.type == "list_item":
        begin = [f".IP {node.info}. 4" if node.info else r".IP \(bu 2"]
    return begin + [line for child in node.children for line in _block(child)]


def _row(cells: list[str]) -> list[str]:
    """Return a row as a tagged paragraph: tables of long cells are wider than any terminal."""
    head, *rest = cells
    text = "; ".join(cell for cell in rest if cell)
    return [".TP", _line(head or r"\&"), _line(text)] if text else []


def _inline(node: SyntaxTreeNode) -> str:
    match node.type:
        case "text":
            return _escaped(node.content)
        case "code_inline":
            return rf"\fB{_escaped(node.content)}\fR"
        case "softbreak" | "hardbreak":
            return "\n"
    font = {"strong": r"\fB", "em": r"\fI"}.get(node.type, "")
    text = "".join(map(_inline, node.children))
    return rf"{font}{text}\fR" if font else text


_SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
"""What roff would take for something else, or print as a character that cannot be copied into a shell."""


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(each) or (each if each.isascii() else rf"\[u{ord(each):04X}]") for each in text)


def _line(text: str) -> str:
    """Return a line that is no request: roff takes a leading dot or quote for one."""
    return rf"\&{text}" if re.match(r"[.']", text) else text
