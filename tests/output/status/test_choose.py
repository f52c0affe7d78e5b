"""Choice of the status."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rt_cli.output.status.choose import choose_look, make_status, wants_color
from rt_cli.output.status.plain import PlainStatus
from rt_cli.settings import OutputSettings, StatusMode

if TYPE_CHECKING:
    from rt_cli.output.status.choose import Look

XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("mode", "quiet", "is_terminal", "environ", "expected"),
    [
        pytest.param("auto", False, True, XTERM, "live", id="terminal"),
        pytest.param("auto", False, True, {}, "live", id="windows-has-no-term"),
        pytest.param("auto", False, False, XTERM, "all", id="pipe"),
        pytest.param("auto", False, True, XTERM | {"CI": "true"}, "all", id="ci"),
        pytest.param("auto", False, True, XTERM | {"CI": "false"}, "live", id="not-ci"),
        pytest.param("auto", False, True, XTERM | {"CI": ""}, "live", id="empty-ci"),
        pytest.param("auto", False, True, {"TERM": "dumb"}, "all", id="dumb"),
        pytest.param(
            "auto", False, False, {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}, "all", id="force-color-in-a-pipe"
        ),
        pytest.param("auto", False, True, XTERM | {"NO_COLOR": "1"}, "live", id="no-color-is-no-plain"),
        pytest.param("live", False, True, XTERM | {"CI": "1"}, "live", id="live-in-ci-when-asked-for"),
        pytest.param("live", False, False, XTERM, "all", id="live-in-a-pipe"),
        pytest.param("live", False, True, {"TERM": "dumb"}, "all", id="live-on-a-dumb-terminal"),
        pytest.param("plain", False, True, XTERM, "all", id="plain"),
        pytest.param("off", False, True, XTERM, "warnings", id="off"),
        pytest.param("auto", True, True, XTERM, "errors", id="quiet"),
        pytest.param("live", True, True, XTERM, "errors", id="quiet-wins"),
    ],
)
def test_look(mode: StatusMode, quiet: bool, is_terminal: bool, environ: dict[str, str], expected: Look) -> None:  # noqa: FBT001  a table
    """The live view needs a capable terminal, and in CI the mode *live*."""
    assert choose_look(mode, quiet=quiet, is_terminal=is_terminal, environ=environ) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        (XTERM, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "CI": "true"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
    ],
    ids=str,
)
def test_colors_of_plain_lines(environ: dict[str, str], expected: bool) -> None:  # noqa: FBT001  a table
    """Plain lines have colours only with FORCE_COLOR and without NO_COLOR."""
    assert wants_color(environ) == expected


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
