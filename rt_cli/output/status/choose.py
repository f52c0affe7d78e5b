"""Which status a run gets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from rt_cli.output.line_writer import LineWriter
from rt_cli.output.status.plain import PlainStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from rt_cli.output.status.live import LiveStatus, Unprinted
    from rt_cli.settings import OutputSettings, StatusMode

Look = Literal["live", "all", "warnings", "errors"]
"""The live view, or plain lines and how much they say."""


def choose_look(mode: StatusMode, *, quiet: bool, is_terminal: bool, environ: Mapping[str, str]) -> Look:
    """Decide how stderr looks. Pure.

    Args:
        mode: As asked for. *live* needs a terminal that can move its cursor, else it is *plain*.
        quiet: Only errors; it wins.
        is_terminal: Whether stderr is one.
        environ: ``TERM`` and ``CI``; in CI nothing moves unless asked for, and ``FORCE_COLOR`` does not ask.
    """
    if quiet:
        return "errors"
    if mode == "off":
        return "warnings"
    able = is_terminal and not _dumb(environ)
    if able and (mode == "live" or (mode == "auto" and not _on(environ, "CI"))):
        return "live"
    return "all"


def wants_color(environ: Mapping[str, str]) -> bool:
    """Decide whether plain lines have colours: where somebody forces them. Pure.

    Never for ``NO_COLOR``, nor on a dumb terminal. Lines on an ordinary terminal have none: they are for those who read
    with other means than their eyes.
    """
    return _on(environ, "FORCE_COLOR") and not environ.get("NO_COLOR") and not _dumb(environ)


def _obeys() -> bool:
    """Whether a terminal of this system takes control sequences: all but the old consoles of Windows do."""
    if sys.platform != "win32":
        return True
    from rich.console import detect_legacy_windows

    return not detect_legacy_windows()


def _dumb(environ: Mapping[str, str]) -> bool:
    return environ.get("TERM", "").lower() in ("dumb", "unknown")


def _on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() not in ("", "0", "false")


def make_status(
    settings: OutputSettings,
    *,
    stderr: TextIO | None,
    environ: Mapping[str, str],
    unprinted: Unprinted,
    crowd: int = 0,
) -> PlainStatus | LiveStatus:
    """The status for ``stderr``.

    Args:
        settings: Mode, quiet, partials.
        stderr: None where it was closed before the start: then nothing is said.
        environ: The environment.
        unprinted: Takes results that a live view could not print; see :class:`LiveStatus`.
        crowd: How many sources or channels there are, if several run at once; else 0.
    """
    is_terminal = stderr is not None and not stderr.closed and stderr.isatty() and _obeys()
    look = choose_look(settings.status, quiet=settings.quiet, is_terminal=is_terminal, environ=environ)
    if look == "live" and stderr is not None:
        from rt_cli.output.status.live import LiveStatus

        return LiveStatus(stderr, environ=environ, unprinted=unprinted, crowd=crowd)
    return PlainStatus(
        LineWriter(stderr, on_broken=_ignore),
        level="all" if look == "live" else look,
        # With --json they are on stdout.
        partials=settings.partials and settings.format != "json",
        crowd=crowd,
        color=wants_color(environ),
    )


def _ignore() -> None:
    """Let a broken stderr be: status goes silent and the run goes on."""
