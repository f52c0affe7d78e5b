"""What was found, and what that means for the main job. Pure."""

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
    """One thing that was looked at."""

    check: str
    """Its name, stable for scripts."""
    status: Status
    detail: str
    """What was found; text of others is in it, and made printable where it is shown."""
    fix: str | None = None
    """What to do about it."""
    exit: int = 0
    """How the main job would end because of it; not 0 where the status is ``fail``."""


ReportFinding = Callable[[Finding], None]


_FIXES = {
    1: "please report this",
    2: "correct it",
    3: "check the sound system",
    4: "check the key",
    5: "check the network and the endpoint",
    6: "check the URL and the model",
}
"""By exit code, for errors that have no hint of their own."""


def failed(check: str, error: RtError) -> Finding:
    """The finding that an error is."""
    return Finding(check, "fail", error.message, error.hint or _FIXES[error.exit_code], error.exit_code)


def exit_code(findings: Sequence[Finding]) -> int:
    """How the main job would end: 0, or the gravest of what failed."""
    return worst_exit([finding.exit for finding in findings if finding.status == "fail"])
