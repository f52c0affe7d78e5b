"""Markdown to roff: each kind of block, what roff must not take for its own, and the whole page through groff."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from rt_cli.help.man_page import man_page, roff
from rt_cli.help.topics import topic_names
from tests.program import rt


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        pytest.param("# a: b's\n\n## C-d `e`", ".SH A: B\\(aqS\n.SS C\\-d e", id="headings"),
        pytest.param(
            "one *two* **three** `--four`\nfive",
            ".PP\none \\fItwo\\fR \\fBthree\\fR \\fB\\-\\-four\\fR\nfive",
            id="words",
        ),
        pytest.param("- one\n- two", ".IP \\(bu 2\none\n.IP \\(bu 2\ntwo", id="list"),
        pytest.param("1. one\n2. two", ".IP 1. 4\none\n.IP 2. 4\ntwo", id="numbers"),
        pytest.param("```sh\na \\\n  | b\n```", ".PP\n.RS 4\n.nf\na \\e\n  | b\n.fi\n.RE", id="code"),
        pytest.param(
            "| a | b | |\n|---|---|---|\n| `c` | d\\|e | f |", ".TP\na\nb\n.TP\n\\fBc\\fR\nd|e; f", id="table"
        ),
        pytest.param("| option | |\n|---|---|\n| x | y |", ".TP\nx\ny", id="table without a heading of its own"),
        pytest.param(".SH no request\n'nor this", ".PP\n\\&.SH no request\n\\(aqnor this", id="requests"),
        pytest.param('a\\\\b ~^ " é ▁', ".PP\na\\eb \\(ti\\(ha \\(dq \\[u00E9] \\[u2581]", id="characters"),
    ],
)
def test_markdown_to_roff(markdown: str, expected: str) -> None:
    """Right, line by line."""
    assert roff(markdown) == expected


def test_page_begins_with_its_name() -> None:
    """A title, a name for ``apropos``, and the commands."""
    lines = man_page("1.2-x", [("config show", "Print it.")], ["# a: b\n\nc\n"]).splitlines()

    assert lines[0] == '.TH RT 1 "" "rt 1.2\\-x" "User Commands"'
    assert lines[1:3] == [".SH NAME", "rt \\- realtime audio streaming: sound in, words out"]
    assert lines[-7:] == [".SH COMMANDS", ".TP", ".B config show", "Print it.", ".SH A: B", ".PP", "c"]


def test_the_page_has_every_topic_and_no_mistakes() -> None:
    """``groff`` finds nothing to warn of, and what people read can be copied into a shell."""
    page = rt("help", "--man").out
    for topic in topic_names():
        assert f".SH {topic.upper()}: ".replace("-", "\\-") in page
    assert page.isascii()
    assert "<!--" not in page
    if shutil.which("groff") is None:
        pytest.skip("groff not installed")
    command = ["groff", "-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-u"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "text=$(rt stream -q --mic --stop-after-silence 4)" in done.stdout
