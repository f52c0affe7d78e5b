"""Marks of the sources that earlier runs finished, for ``--skip-done``."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.disk.outfile import reason_of
from rt_cli.errors import UsageError
from rt_cli.output.results.result_file import part_path
from rt_cli.protocol.endpoint.endpoint import EMBEDDED_MODEL
from rt_cli.run.claims.claims import Claim, Claims
from rt_cli.run.claims.decision import Standing
from rt_cli.settings.declaration import declaration_of, is_declared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """What earlier runs and other processes finished, and what this one works on.

    A finished source has a mark: a hash of its content, of the settings that change the result, and of the name of its
    result file, if it has one. A mark is the name of a claim that is done; many processes and machines may share a
    folder of them. Older versions kept marks without the result file, a line each, in one file, which is only read.

    Args:
        path: Of the file of older versions; the folder has its name and ``.d``, and is created if it is missing.

    Raises:
        UsageError: The file cannot be read, or the folder cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.with_name(f"{path.name}.d")
        try:
            self._old = frozenset(line[-_DIGITS:] for line in _read_old(path).decode("ascii", "replace").splitlines())
        except (OSError, ValueError) as exc:
            raise UsageError(f"cannot read {path}: {reason_of(exc)}", "it must be a file of marks") from exc
        try:
            self._claims = Claims(self._folder)
        except (OSError, ValueError) as exc:
            raise self._cannot_keep(exc) from exc
        self._waiting: dict[str, str] = {}
        """Marks of the sources that another process works on, by name."""

    @property
    def failure(self) -> OSError | None:
        """The error of the last mark that could not be written."""
        return self._claims.failure

    def __contains__(self, mark: str) -> bool:
        """Return whether an older version finished the source with this mark."""
        return mark in self._old

    def mark_of(self, name: str, determinants: Mapping[str, object]) -> str | None:
        """Return the mark of a file, without its result file. Blocks while it reads the file.

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

    def take(
        self, name: str, determinants: Mapping[str, object], result: Path | None, *, again: bool = False
    ) -> Claim | Standing | None:
        """Take a source, unless it is done or another process works on it. Blocks while it reads the file.

        Args:
            name: Path of the file.
            determinants: The settings that change the result, as JSON values.
            result: Its result file, if it has one of its own. What a dead process left of it is removed.
            again: Take it also if it is done.

        Returns:
            The claim; DONE or BUSY; None if the file has no mark.

        Raises:
            UsageError: The folder of the marks fails.
        """
        mark = self._waiting.get(name) or self.mark_of(name, determinants)
        if mark is None:
            return None
        if mark in self._old and not again:
            return Standing.DONE
        try:
            taken = self._claims.take(_identity(mark, result), again=again)
            if isinstance(taken, Claim) and result is not None:
                for owner in taken.predecessors:
                    part_path(result, owner.token).unlink(missing_ok=True)
        except OSError as exc:
            raise self._cannot_keep(exc) from exc
        if taken is Standing.BUSY:
            self._waiting[name] = mark
        return taken

    def busy(self, results: Mapping[str, Path | None]) -> set[str]:
        """Return the sources that another process still works on. Blocks.

        Args:
            results: The result files of sources that were BUSY, by name.

        Raises:
            UsageError: The folder of the marks fails.
        """
        identities = {name: _identity(self._waiting[name], result) for name, result in results.items()}
        try:
            busy = self._claims.busy(identities.values())
        except OSError as exc:
            raise self._cannot_keep(exc) from exc
        return {name for name, identity in identities.items() if identity in busy}

    @property
    def token(self) -> str:
        """The name of this process in the names of files that it has not completed."""
        return self._claims.owner.token

    def finish(self, claim: Claim, on_written: Callable[[], None] | None = None) -> None:
        """Mark a source as done. Callable from any thread. Returns at once and never raises: see :attr:`failure`.

        Args:
            claim: Of the source.
            on_written: Called once on a thread, when the mark is written; must not raise.
        """
        self._claims.finish(claim, on_written)

    def release(self, claim: Claim) -> None:
        """Leave a source to other processes, and later runs. Likewise."""
        self._claims.release(claim)

    def close(self, deadline_s: float | None = None) -> bool:
        """Write the marks that wait. Blocks; idempotent. False if it takes longer than ``deadline_s``."""
        return self._claims.close(deadline_s)

    def _cannot_keep(self, error: Exception) -> UsageError:
        return UsageError(f"cannot keep {self._folder}: {reason_of(error)}", "it must be a folder that can be written")


def _identity(mark: str, result: Path | None) -> str:
    """Return the mark with the result file: two names of one content have a result each."""
    return mark if result is None else hashlib.sha256(f"{mark} ".encode() + os.fsencode(result.name)).hexdigest()


def _read_old(path: Path) -> bytes:
    # Somebody else may be able to make links in the folder of the results.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read()


def done_path(output_dir: str | None) -> Path:
    """Return where the marks of older versions are: in the output folder if there is one, else in the user's state."""
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
