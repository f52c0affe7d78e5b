"""The files of ``rt help``: found by themselves, generated parts put in, links taken out."""

from __future__ import annotations

import pytest

from rt_cli.help.topics import filled_in, summary_of, topic_names
from tests.program import ROOT

FILES = {path.stem: path for path in (ROOT / "rt_cli" / "help").glob("*.md")}


def test_every_file_is_a_topic() -> None:
    """Sorted by name; there is no other list."""
    assert topic_names() == sorted(FILES)
    assert {"endpoints", "options", "config", "ndjson", "captions", "recipes", "serve", "changes"} <= FILES.keys()


@pytest.mark.parametrize("topic", topic_names())
def test_a_topic_says_what_it_is_about(topic: str) -> None:
    """In its only first heading, short enough for a line of a list."""
    lines = FILES[topic].read_text(encoding="utf-8").splitlines()

    assert lines[0] == f"# {topic}: {summary_of(topic)}"
    assert 0 < len(summary_of(topic)) <= 66
    assert lines[1] == ""


def test_parts_are_generated_and_links_are_text() -> None:
    """Only the marked parts are asked for; pictures, code and web links stay."""
    source = (
        "# a: b\n\nSee [`rt help c`](c.md#d) and [e](#f), [g](https://h.example).\n\n![i](j.svg)\n\n"
        "`rt send --limit [k]`\n\n<!-- generated: fields -->\n"
    )

    text = filled_in(source, {"fields": lambda: "| \\1 |\n", "never": lambda: pytest.fail("not in the topic")})

    assert text == (
        "# a: b\n\nSee `rt help c` and e, [g](https://h.example).\n\n![i](j.svg)\n\n`rt send --limit [k]`\n\n| \\1 |\n"
    )
