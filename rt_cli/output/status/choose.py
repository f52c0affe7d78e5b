"""Choose the status of a run."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Literal

from rt_cli.output.line_writer import STATUS_BYTES, LineWriter
from rt_cli.output.status.plain import PlainStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from rt_cli.output.status.color import Color
    from rt_cli.output.status.live import LiveStatus, OnUnprinted
    from rt_cli.settings import OutputSettings, StatusMode

Look = Literal["live", "all", "warnings", "errors"]
"""The live view, or plain lines with their level."""


def choose_look(
    mode: StatusMode,
    *,
    quiet: bool = False,
    verbose: bool = False,
    is_terminal: bool,
    beside_pipe: bool = False,
    environ: Mapping[str, str],
) -> Look:
    """Choose the look of stderr. Pure.

    Where nobody watches, stderr is silent as long as all is well: that is in a pipe, unless the user asks for more.

    Args:
        mode: Value of the option. *live* needs a terminal with a movable cursor, else the look is plain.
        quiet: True: only errors, whatever the mode.
        verbose: True: more than warnings, also in a pipe.
        is_terminal: True if stderr is a terminal.
        beside_pipe: True if stdout is a pipe: its reader may write to the same terminal, so that a view that redraws
            itself would be overwritten. The mode *live* draws it nevertheless.
        environ: ``TERM`` and ``CI``; with ``CI`` the live view needs the mode *live*; ``FORCE_COLOR`` has no effect.
    """
    if quiet:
        return "errors"
    if mode == "off":
        return "warnings"
    can_be_live = is_terminal and not _is_dumb(environ)
    if can_be_live and (mode == "live" or (mode == "auto" and not beside_pipe and not _is_set(environ, "CI"))):
        return "live"
    return "all" if is_terminal or verbose or mode != "auto" else "warnings"


def look_of(
    settings: OutputSettings, *, stdout: TextIO | None, stderr: TextIO | None, environ: Mapping[str, str]
) -> Look:
    """Return the look for these streams; None for a stream that was closed before the start."""
    return choose_look(
        settings.status,
        quiet=settings.quiet,
        verbose=settings.verbose > 0,
        is_terminal=_is_terminal(stderr),
        beside_pipe=_is_pipe(stdout),
        environ=environ,
    )


def choose_color(environ: Mapping[str, str], *, is_terminal: bool) -> Color:
    """Choose the colours of lines on stderr. Pure.

    Never with ``NO_COLOR`` or on a dumb terminal. In a pipe only with ``FORCE_COLOR``, and then behind the prefix:
    scripts search for lines that begin with it.
    """
    if environ.get("NO_COLOR") or _is_dumb(environ):
        return "none"
    if is_terminal:
        return "prefix"
    return "text" if _is_set(environ, "FORCE_COLOR") else "none"


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty() and _supports_control_sequences()


def _is_pipe(stream: TextIO | None) -> bool:
    """Return whether another program reads the stream: a pipe or a socket."""
    if stream is None or stream.closed:
        return False
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False  # no descriptor, as for a stream in memory
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _supports_control_sequences() -> bool:
    """Return whether terminals of this system support control sequences: all except old Windows consoles."""
    if sys.platform != "win32":
        return True
    from rich.console import detect_legacy_windows

    return not detect_legacy_windows()


def _is_dumb(environ: Mapping[str, str]) -> bool:
    return environ.get("TERM", "").lower() in ("dumb", "unknown")


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() not in ("", "0", "false")


def make_status(
    settings: OutputSettings,
    *,
    stdout: TextIO | None = None,
    stderr: TextIO | None,
    environ: Mapping[str, str],
    on_unprinted: OnUnprinted,
    source_count: int = 0,
) -> PlainStatus | LiveStatus:
    """Create the status for ``stderr``.

    Args:
        settings: Mode, quiet, verbose, partials.
        stdout: None if it was closed before the start.
        stderr: None if it was closed before the start: then nothing is printed.
        environ: The environment.
        on_unprinted: Takes results that a live view could not print; see :class:`LiveStatus`.
        source_count: Number of sources or channels that run at the same time; 0 for a single one.
    """
    look = look_of(settings, stdout=stdout, stderr=stderr, environ=environ)
    color = choose_color(environ, is_terminal=_is_terminal(stderr))
    if look == "live" and stderr is not None:
        from rt_cli.output.status.live import LiveStatus

        return LiveStatus(stderr, color=color, on_unprinted=on_unprinted, source_count=source_count)
    return PlainStatus(
        LineWriter(stderr, on_broken=_ignore, limit_bytes=STATUS_BYTES),
        level="all" if look == "live" else look,
        # With --json, partials are on stdout.
        partials=settings.partials and settings.format != "json",
        source_count=source_count,
        color=color,
    )


def _ignore() -> None:
    """Ignore a broken stderr: the run continues without status."""
