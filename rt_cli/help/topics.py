"""The topics: one Markdown file each, which begins with ``# NAME: what it is about``."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\((?!\w+://)[^)\n]*\)")
"""A link to another topic or heading: it works where the files are browsed. Its text is enough everywhere else."""


def topic_names() -> list[str]:
    """Return the names of all topics, sorted."""
    names = (file.name for file in files(__package__).iterdir())
    return sorted(name.removesuffix(".md") for name in names if name.endswith(".md"))


def summary_of(topic: str) -> str:
    """Return what a topic is about, without a full stop."""
    return _text(topic).partition("\n")[0].partition(": ")[2]


def read_topic(topic: str, generators: Mapping[str, Callable[[], str]]) -> str:
    """Return a topic as Markdown that ends with a line end.

    Args:
        topic: One of :func:`topic_names`.
        generators: The generated parts by name; a topic calls only those that it contains.
    """
    return filled_in(_text(topic), generators)


def filled_in(text: str, generators: Mapping[str, Callable[[], str]]) -> str:
    """Return Markdown with its generated parts, and with links to other topics as text."""
    return _LINK.sub(r"\1", _MARK.sub(lambda mark: generators[mark[1]]().rstrip("\n"), text))


def _text(topic: str) -> str:
    return files(__package__).joinpath(f"{topic}.md").read_text(encoding="utf-8")
