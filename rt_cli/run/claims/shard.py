"""``--shard``: the part of a list of sources that one of many runs sends. Pure."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FORM = re.compile(r"(?P<number>[0-9]{1,9}|auto)/(?P<count>[0-9]{1,9})|auto")
_SLURM = "SLURM_ARRAY_TASK_"
_INDEX = "JOB_COMPLETION_INDEX"
"""Set by Kubernetes in each pod of an indexed Job: from 0."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of a list.

    Args:
        number: From 1 to ``count``.
        count: Number of parts, at least 1.
    """

    number: int
    count: int

    def __str__(self) -> str:
        """Return it as it is given on the command line."""
        return f"{self.number}/{self.count}"

    def pick(self, names: Iterable[str]) -> list[str]:
        """Return the names of this part, in their order.

        A name is in the same part of ``count`` on each machine, in each run, and whatever other names there are.
        """
        return [name for name in names if _hash(name) % self.count == self.number - 1]


def parse_shard(text: str, environ: Mapping[str, str]) -> Shard:
    """Return the part that an option names.

    Args:
        text: ``I/N``, I from 1; ``auto``: the task of a SLURM array; ``auto/N``: the pod of a Kubernetes Job.
        environ: Variables of the scheduler.

    Raises:
        UsageError: No such part, or the variables do not say which.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise UsageError(f"--shard {printable(text)!r} is no part of a list", "give I/N, I from 1; auto, or auto/N")
    if text == "auto":
        return _slurm_shard(environ)
    count = int(form["count"])
    number = _pod_number(text, environ) if form["number"] == "auto" else int(form["number"])
    if not 1 <= number <= count:
        raise UsageError(f"there is no shard {number} of {count}", "I is from 1 to N" if count else "N is at least 1")
    return Shard(number, count)


def _slurm_shard(environ: Mapping[str, str]) -> Shard:
    if f"{_SLURM}ID" not in environ:
        hint = f"give auto/N: {_INDEX} says which" if _INDEX in environ else "give I/N"
        raise UsageError("--shard auto is for a SLURM array, and this is no task of one", hint)
    own, first, last, count = (_number(environ, f"{_SLURM}{name}") for name in ("ID", "MIN", "MAX", "COUNT"))
    if last - first + 1 != count:
        message = f"--shard auto: this array has {count} of the tasks {first} to {last}: a step, a list, some again"
        raise UsageError(message, "give I/N")
    if not first <= own <= last:
        raise UsageError(f"--shard auto: task {own} is none of {first} to {last}", "give I/N")
    return Shard(own - first + 1, count)


def _pod_number(text: str, environ: Mapping[str, str]) -> int:
    if _INDEX not in environ:
        raise UsageError(f"--shard {text} needs {_INDEX}, which is not set", "give I/N")
    return _number(environ, _INDEX) + 1


def _number(environ: Mapping[str, str], name: str) -> int:
    value = environ.get(name, "")
    if re.fullmatch(r"[0-9]{1,9}", value) is None:
        raise UsageError(f"--shard auto: {name} is {printable(value)!r}, not a number", "give I/N")
    return int(value)


def _hash(name: str) -> int:
    # ``./a.wav`` and ``a.wav`` are one file: two machines may write it differently.
    return int.from_bytes(hashlib.sha256(os.fsencode(os.path.normpath(name))).digest()[:8])
