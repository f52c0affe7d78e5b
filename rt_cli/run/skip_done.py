"""What earlier runs have finished, by content: for ``--skip-done``."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.run.plan import Plan
    from rt_cli.settings import Settings

_DIGITS = 64


class DoneMarks:
    """A file with a line for each finished source: the mark of its content and of what its result depends on.

    Marks that are added count from the next run on. Nothing is read back but marks, so a line that was torn by a crash
    is only a source that is sent again.

    Args:
        path: Of the file; it is made where it is missing.

    Raises:
        UsageError: It cannot be written there.
    """

    def __init__(self, path: Path) -> None:
        self.failure: OSError | None = None
        """Why a mark could not be kept."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One write for each line, at the end whoever else writes: two runs do not disturb each other.
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            lines = path.read_text("ascii", "replace").splitlines()
        except OSError as exc:
            raise UsageError(f"cannot keep {path}: {exc.strerror}", "it must be a file that can be written") from exc
        self._marks = frozenset(line[-_DIGITS:] for line in lines)

    def __contains__(self, mark: str) -> bool:
        """Whether an earlier run has finished it."""
        return mark in self._marks

    def mark_of(self, name: str, determinants: Mapping[str, object]) -> str | None:
        """The mark of a file; blocks while it is read.

        Args:
            name: Its path.
            determinants: What its result depends on besides; anything that JSON has.

        Returns:
            None where it cannot be read, or is no regular file: to say so is not the business of this class.
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
        """Keep a mark; on any thread. Never raises, see :attr:`failure`."""
        try:
            os.write(self._descriptor, f"{mark}\n".encode())
        except OSError as exc:
            self.failure = exc


def done_path(output_dir: str | None) -> Path:
    """Beside the results, where they have a folder of their own; else where the user's programs keep their state."""
    if output_dir is not None:
        return Path(output_dir) / ".rt-done"
    from platformdirs import user_state_path

    return user_state_path("rt", appauthor=False) / "done"


def determinants(settings: Settings, plan: Plan) -> dict[str, object]:
    """What a result depends on, besides the sound."""
    return {
        "url": plan.choice.url,
        "model": settings.endpoint.model,
        "dialect": settings.endpoint.dialect,
        "turns": plan.turns,
        "session": plan.session,
        # Where rt makes the turns, or leaves silence out, the endpoint is told nothing of how.
        "speech": asdict(settings.session),
        "gate": settings.input.gate,
        "channel": settings.input.channel,
        "gain": settings.input.gain,
        "duration_s": settings.input.duration_s,
        "format": settings.output.format,
        "timestamps": settings.output.timestamps,
    }
