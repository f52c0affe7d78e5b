"""Choice of the status."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rt_cli.output.status.choose import choose_color, choose_look, make_status
from rt_cli.output.status.plain import PlainStatus
from rt_cli.settings import OutputSettings, StatusMode

if TYPE_CHECKING:
    from rt_cli.output.status.choose import Look
    from rt_cli.output.status.color import Color

XTERM = {"TERM": "xterm-256color"}


FORCED = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}


@pytest.mark.parametrize(
    ("mode", "flags", "environ", "expected"),
    [
        # q: quiet, v: verbose, t: stderr is a terminal, p: stdout is a pipe
        pytest.param("auto", "t", XTERM, "live", id="terminal"),
        pytest.param("auto", "t", {}, "live", id="windows-has-no-term"),
        pytest.param("auto", "", XTERM, "warnings", id="pipe"),
        pytest.param("auto", "p", XTERM, "warnings", id="two-pipes"),
        pytest.param("auto", "v", XTERM, "all", id="pipe-verbose"),
        pytest.param("auto", "tp", XTERM, "all", id="stdout-is-a-pipe"),
        pytest.param("auto", "tv", XTERM, "live", id="verbose-terminal"),
        pytest.param("auto", "t", XTERM | {"CI": "true"}, "all", id="ci"),
        pytest.param("auto", "", XTERM | {"CI": "true"}, "warnings", id="ci-in-a-pipe"),
        pytest.param("auto", "t", XTERM | {"CI": "false"}, "live", id="not-ci"),
        pytest.param("auto", "t", XTERM | {"CI": ""}, "live", id="empty-ci"),
        pytest.param("auto", "t", {"TERM": "dumb"}, "all", id="dumb"),
        pytest.param("auto", "", FORCED, "warnings", id="force-color-in-a-pipe"),
        pytest.param("auto", "t", XTERM | {"NO_COLOR": "1"}, "live", id="no-color-is-no-plain"),
        pytest.param("live", "t", XTERM | {"CI": "1"}, "live", id="live-in-ci-when-asked-for"),
        pytest.param("live", "tp", XTERM, "live", id="live-beside-a-pipe-when-asked-for"),
        pytest.param("live", "", XTERM, "all", id="live-in-a-pipe"),
        pytest.param("live", "t", {"TERM": "dumb"}, "all", id="live-on-a-dumb-terminal"),
        pytest.param("plain", "t", XTERM, "all", id="plain"),
        pytest.param("plain", "", XTERM, "all", id="plain-in-a-pipe"),
        pytest.param("off", "t", XTERM, "warnings", id="off"),
        pytest.param("auto", "qt", XTERM, "errors", id="quiet"),
        pytest.param("live", "qvt", XTERM, "errors", id="quiet-wins"),
    ],
)
def test_look(mode: StatusMode, flags: str, environ: dict[str, str], expected: Look) -> None:
    """A pipe is silent; the live view needs a capable terminal that nobody else writes to, and in CI its mode."""
    look = choose_look(
        mode,
        quiet="q" in flags,
        verbose="v" in flags,
        is_terminal="t" in flags,
        beside_pipe="p" in flags,
        environ=environ,
    )

    assert look == expected


@pytest.mark.parametrize(
    ("environ", "in_pipe", "on_terminal"),
    [
        ({}, "none", "prefix"),
        (XTERM, "none", "prefix"),
        ({"FORCE_COLOR": "1"}, "text", "prefix"),
        ({"FORCE_COLOR": "1", "CI": "true"}, "text", "prefix"),
        ({"FORCE_COLOR": "0"}, "none", "prefix"),
        ({"FORCE_COLOR": ""}, "none", "prefix"),
        ({"NO_COLOR": "1"}, "none", "none"),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "none", "none"),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, "text", "prefix"),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, "none", "none"),
    ],
    ids=str,
)
def test_colors(environ: dict[str, str], in_pipe: Color, on_terminal: Color) -> None:
    """Terminals have colours, pipes only with FORCE_COLOR; neither has them with NO_COLOR."""
    assert choose_color(environ, is_terminal=False) == in_pipe
    assert choose_color(environ, is_terminal=True) == on_terminal


@pytest.mark.parametrize("stderr", [None, io.StringIO()], ids=["closed", "no-descriptor"])
def test_a_status_works_without_a_real_stderr(stderr: io.StringIO | None) -> None:
    """A status can be created and used with a closed or missing stderr."""
    status = make_status(OutputSettings(), stderr=stderr, environ={}, on_unprinted=lambda _line, _written: None)
    status.say("hello")

    assert isinstance(status, PlainStatus)
    assert status.close(5)
    assert stderr is None or stderr.getvalue() == "hello\n"


def test_rich_is_not_imported_without_a_live_view() -> None:
    """A plain run does not spend time on the import of Rich."""
    program = (
        "import sys; from rt_cli.output.output import make_output; from rt_cli.settings import OutputSettings;"
        "output = make_output(OutputSettings(), many_sources=False, on_stdout_closed=lambda: None,"
        " stdout=sys.stdout, stderr=sys.stderr, environ={}); output.close(5);"
        "sys.exit(any(name.split('.')[0] == 'rich' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=20)

    assert (done.returncode, done.stderr) == (0, b"")
