"""Logging for ``-v`` and ``--log-file``: callable from any thread, never blocks, never logs a key."""

from __future__ import annotations

import io
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.disk.outfile import PRIVATE, open_outfile
from rt_cli.output.line_writer import STATUS_BYTES, LineWriter
from rt_cli.protocol.sanitize import masked_foreign, printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from rt_cli.settings import OutputSettings

ROOT = "rt"
"""Name of the parent of all loggers of ``rt``."""

WIRE = 2
"""Verbosity from which on stderr has the wire, too, and what each message does in the sender."""
_WIRE_LOGGERS = ("rt.wire", "rt.sender.lane", "rt.local.websocket", "rt.replay.websocket")
_NOTHING = logging.CRITICAL + 1
_SHORT = "%(levelname)s %(name)s: %(message)s"
_LONG = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s"


class Logs:
    """Sends log lines to stderr and the log file until :meth:`close`. Does not change the root logger.

    Args:
        settings: ``verbose``, ``log_file``.
        say: Prints a line on stderr; called from any thread.

    Raises:
        UsageError: The log file cannot be opened.
    """

    def __init__(self, settings: OutputSettings, say: Callable[[str], None]) -> None:
        self._logger = logging.getLogger(ROOT)
        self._before = self._logger.level, self._logger.propagate
        self._handlers: list[logging.Handler] = []
        self._file: TextIO | None = None
        self._writer: LineWriter | None = None
        if settings.log_file is not None:
            self._file = _open(settings.log_file)
            on_broken = partial(self._report_broken, settings.log_file, _ignore if settings.quiet else say)
            self._writer = LineWriter(self._file, on_broken=on_broken, limit_bytes=STATUS_BYTES)
            self._handlers.append(LineHandler(self._writer.write, _LONG))
        if settings.verbose:
            on_stderr = LineHandler(say, _SHORT)
            if settings.verbose < WIRE:
                on_stderr.addFilter(_is_not_wire)
            self._handlers.append(on_stderr)
        for handler in self._handlers:
            self._logger.addHandler(handler)
        # Without a handler, logging prints warnings on stderr and disturbs the status.
        self._logger.setLevel(logging.DEBUG if self._handlers else _NOTHING)
        self._logger.propagate = False

    def close(self, deadline_s: float | None = None) -> None:
        """Write the waiting lines, for at most ``deadline_s``, and stop logging. Idempotent."""
        for handler in self._handlers:
            self._logger.removeHandler(handler)
        level, self._logger.propagate = self._before
        self._logger.setLevel(level)
        if self._writer is not None and self._writer.close(deadline_s) and self._file is not None:
            self._file.close()

    def _report_broken(self, path: str, say: Callable[[str], None]) -> None:
        """Report a failed log file, for example on a full disk. The run continues without it."""
        if self._writer is not None and (error := self._writer.failure) is not None:
            say(f"warning: the log file {printable(path)} takes no more: {error.strerror}")


class LineHandler(logging.Handler):
    """Formats a record into printable lines without keys.

    Args:
        write_line: Writes a line; must not block.
        pattern: ``%``-format of a record.
    """

    def __init__(self, write_line: Callable[[str], None], pattern: str) -> None:
        super().__init__()
        self._write_line = write_line
        self.setFormatter(logging.Formatter(pattern, datefmt="%Y-%m-%dT%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record. Continuation lines are indented, so that only a new record starts at the margin."""
        try:
            first, *rest = self.format(record).splitlines() or [""]
        except (TypeError, ValueError):  # arguments that do not match the message
            self.handleError(record)
            return
        for line in (first, *(f"    {line}" for line in rest)):
            self._write_line(masked_foreign(printable(line)))


def _open(path: str) -> TextIO:
    # What was said is in it at -vv: only its owner may read a new file.
    hint = "log to another file"
    file = open_outfile(Path(path), append=True, mode=PRIVATE, what="the log file", hint=hint, code="log_file")
    return io.TextIOWrapper(io.BufferedWriter(file), encoding="utf-8")


def _is_not_wire(record: logging.LogRecord) -> bool:
    return record.name not in _WIRE_LOGGERS


def _ignore(_line: str) -> None:
    """Discard the line (``--quiet``)."""
