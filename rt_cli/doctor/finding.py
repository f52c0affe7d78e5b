"""Findings, and the exit code that they mean for a run. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rt_cli.errors import RtError, worst_exit

if TYPE_CHECKING:
    from collections.abc import Sequence

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    """Name of the check, stable for scripts."""
    status: Status
    detail: str
    """The result in words. Contains untrusted text, which the output makes printable."""
    fix: str | None = None
    """How to fix it."""
    exit: int = 0
    """Exit code of a run with this problem; not 0 if the status is ``fail``."""


ReportFinding = Callable[[Finding], None]


_FIXES = {
    1: "please report this",
    2: "correct it",
    3: "check the sound system",
    4: "check the key",
    5: "check the network and the endpoint",
    6: "check the URL and the model",
}
"""Fixes by exit code, for errors without a hint."""


def error_finding(check: str, error: RtError) -> Finding:
    """Convert an error to a finding."""
    return Finding(check, "fail", error.message, error.hint or _FIXES[error.exit_code], error.exit_code)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return the exit code of a run: 0, or the worst one of the failed findings."""
    return worst_exit([finding.exit for finding in findings if finding.status == "fail"])
