"""Choose the status of a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from rt_cli.output.line_writer import STATUS_BYTES, LineWriter
from rt_cli.output.status.plain import PlainStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from rt_cli.output.status.live import LiveStatus, OnUnprinted
    from rt_cli.settings import OutputSettings, StatusMode

Look = Literal["live", "all", "warnings", "errors"]
"""The live view, or plain lines with their level."""


def choose_look(mode: StatusMode, *, quiet: bool, is_terminal: bool, environ: Mapping[str, str]) -> Look:
    """Choose the look of stderr. Pure.

    Args:
        mode: Value of the option. *live* needs a terminal with a movable cursor, else the look is plain.
        quiet: True: only errors, whatever the mode.
        is_terminal: True if stderr is a terminal.
        environ: ``TERM`` and ``CI``; with ``CI`` the live view needs the mode *live*; ``FORCE_COLOR`` has no effect.
    """
    if quiet:
        return "errors"
    if mode == "off":
        return "warnings"
    can_be_live = is_terminal and not _is_dumb(environ)
    if can_be_live and (mode == "live" or (mode == "auto" and not _is_set(environ, "CI"))):
        return "live"
    return "all"


def wants_color(environ: Mapping[str, str]) -> bool:
    """Return whether plain lines have colours: only with ``FORCE_COLOR``. Pure.

    Never with ``NO_COLOR`` or on a dumb terminal. Plain lines on an ordinary terminal have no colours, for screen
    readers.
    """
    return _is_set(environ, "FORCE_COLOR") and not environ.get("NO_COLOR") and not _is_dumb(environ)


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
    stderr: TextIO | None,
    environ: Mapping[str, str],
    on_unprinted: OnUnprinted,
    source_count: int = 0,
) -> PlainStatus | LiveStatus:
    """Create the status for ``stderr``.

    Args:
        settings: Mode, quiet, partials.
        stderr: None if it was closed before the start: then nothing is printed.
        environ: The environment.
        on_unprinted: Takes results that a live view could not print; see :class:`LiveStatus`.
        source_count: Number of sources or channels that run at the same time; 0 for a single one.
    """
    is_terminal = stderr is not None and not stderr.closed and stderr.isatty() and _supports_control_sequences()
    look = choose_look(settings.status, quiet=settings.quiet, is_terminal=is_terminal, environ=environ)
    if look == "live" and stderr is not None:
        from rt_cli.output.status.live import LiveStatus

        return LiveStatus(stderr, environ=environ, on_unprinted=on_unprinted, source_count=source_count)
    return PlainStatus(
        LineWriter(stderr, on_broken=_ignore, limit_bytes=STATUS_BYTES),
        level="all" if look == "live" else look,
        # With --json, partials are on stdout.
        partials=settings.partials and settings.format != "json",
        source_count=source_count,
        color=wants_color(environ),
    )


def _ignore() -> None:
    """Ignore a broken stderr: the run continues without status."""
