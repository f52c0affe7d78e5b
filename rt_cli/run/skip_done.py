"""Marks of the sources that earlier runs finished, for ``--skip-done``."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.disk.outfile import PRIVATE, open_descriptor, reason_of, write_all
from rt_cli.disk.serial_thread import SerialThread
from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.endpoint import EMBEDDED_MODEL
from rt_cli.settings.declaration import declaration_of, is_declared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import DataclassInstance

    from rt_cli.run.plan import Plan
    from rt_cli.settings import OutputSettings, Settings

_DIGITS = 64
_FIRST_SETTINGS = (
    *("model", "dialect", "gate", "channel", "gain", "duration_s", "format", "timestamps"),
    *("language", "prompt", "turn_detection", "vad_threshold", "silence_ms", "prefix_ms", "max_turn_s"),
    *("noise_reduction", "extra"),
)
"""Settings that the marks of version 0.1 contain. This list never grows."""


class DoneMarks:
    """A file with one mark per finished source: a hash of the content and of the settings that change the result.

    Added marks take effect in the next run. After a crash, an incomplete line matches no mark, and its source is sent
    again.

    Args:
        path: Of the file; created if it is missing.

    Raises:
        UsageError: The file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.failure: OSError | None = None
        """The error of the last mark that could not be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # O_APPEND and one write per line: two runs at the same time do not overwrite each other's lines.
            # Somebody else may be able to make links in the folder.
            flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
            self._descriptor = open_descriptor(path, flags, PRIVATE)
            text = self._read()
        except (OSError, ValueError) as exc:
            raise UsageError(f"cannot keep {path}: {reason_of(exc)}", "it must be a file that can be written") from exc
        lines = text.decode("ascii", "replace").splitlines()
        self._marks = frozenset(line[-_DIGITS:] for line in lines)
        self._disk: SerialThread | None = None

    def __contains__(self, mark: str) -> bool:
        """Return whether an earlier run finished the source with this mark."""
        return mark in self._marks

    def mark_of(self, name: str, determinants: Mapping[str, object]) -> str | None:
        """Return the mark of a file. Blocks while it reads the file.

        Args:
            name: Path of the file.
            determinants: The settings that change the result, as JSON values.

        Returns:
            None if the file cannot be read or is no regular file; opening the source reports that error.
        """
        try:
            if not Path(name).is_file():
                return None
            with Path(name).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError):  # ValueError: a NUL in the name
            return None
        how = json.dumps(determinants, sort_keys=True)
        return hashlib.sha256(f"{content} {how}".encode()).hexdigest()

    def add(self, mark: str) -> None:
        """Write a mark. Callable from any thread. Returns at once and never raises: see :attr:`failure`."""
        self._disk = self._disk or SerialThread("rt-done")
        self._disk.do(partial(self._write, mark))

    def close(self, deadline_s: float | None = None) -> bool:
        """Write the marks that wait. Blocks; idempotent. False if it takes longer than ``deadline_s``."""
        return self._disk is None or self._disk.close(deadline_s)

    def _read(self) -> bytes:
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise OSError(errno.EINVAL, "not a regular file")
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            return file.read()

    def _write(self, mark: str) -> None:
        try:
            write_all(self._descriptor, f"{mark}\n".encode())
        except OSError as exc:
            self.failure = exc


def done_path(output_dir: str | None) -> Path:
    """Return the path of the marks: in the output folder if there is one, else in the user's state folder."""
    if output_dir is not None:
        return Path(output_dir) / ".rt-done"
    from platformdirs import user_state_path

    return user_state_path("rt", appauthor=False) / "done"


def results_are_missing(settings: OutputSettings) -> bool:
    """Return whether a file for the results has none yet, so that those of a source that is skipped were nowhere."""
    return any(_holds_nothing(Path(name)) for name in (settings.output, settings.save_transcript) if name)


def _holds_nothing(path: Path) -> bool:
    try:
        state = path.stat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):  # opening the file reports that error
        return False
    return stat.S_ISREG(state.st_mode) and state.st_size == 0


def determinants(settings: Settings, plan: Plan) -> dict[str, object]:
    """Return the settings that change a result: the declared ones, and what a plan makes of them."""
    changing = {table.name: _changing(getattr(settings, table.name)) for table in fields(settings)}
    # Settings of rt's own turn detection are not in the session of the plan.
    speech = changing.pop("session")
    others = {name: value for content in changing.values() for name, value in content.items()}
    # Marks of versions without a choice of recognisers stay valid: they are about pocketsphinx.
    if plan.recognizer and plan.recognizer.kind != EMBEDDED_MODEL:
        others["recognizer"] = str(plan.recognizer)
    if plan.session.query and not plan.session.body:
        others["query"] = plan.session.query
    session = {"turns": plan.session.turns, "session": plan.session.body, "speech": speech}
    return {"url": plan.choice.url, **session, **others}


def _changing(table: DataclassInstance) -> dict[str, object]:
    """The settings of a table: the first ones always, later ones only where they differ from their default.

    A setting that a later version adds must not void the marks of an earlier one.
    """
    declared = filter(is_declared, fields(table))
    values = {field: getattr(table, field.name) for field in declared if declaration_of(field).changes_result}
    return {
        field.name: value for field, value in values.items() if field.name in _FIRST_SETTINGS or value != field.default
    }
