"""One check after the other, each on its own: what breaks in one does not keep the next from being made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.doctor.finding import Finding, ReportFinding, failed
from rt_cli.errors import RtError, unexpected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at."""

    name: str
    look: Callable[[ReportFinding], Awaitable[None]]
    """Tells what it finds; may raise anything."""
    deadline_s: float
    exit: int
    """How the main job would end if this check never came to an end."""


async def examine(checks: Sequence[Check], tell: ReportFinding) -> None:
    """Make the checks in order; each tells at least one finding. Cancelling it ends the check that runs."""
    crippled = False
    for check in checks:
        told: list[Finding] = []

        def note(finding: Finding, told: list[Finding] = told) -> None:
            told.append(finding)
            tell(finding)

        await _look(check, note, crippled=crippled)
        crippled = crippled or any(each.check == "libraries" and each.status == "fail" for each in told)
        if not told:
            tell(Finding(check.name, "skip", "nothing to look at"))


async def _look(check: Check, tell: ReportFinding, *, crippled: bool) -> None:
    """Make a check; ``crippled`` says that libraries are missing, which explains whatever else breaks."""
    try:
        async with asyncio.timeout(check.deadline_s):
            await check.look(tell)
    except TimeoutError:
        tell(Finding(check.name, "fail", f"no answer within {check.deadline_s:g} s", "try again", check.exit))
    except RtError as error:
        tell(failed(check.name, error))
    except ImportError as error:
        name = error.name or "rt-cli"
        tell(
            Finding(
                check.name, "fail", f"{name} cannot be imported ({error})", "pip install --force-reinstall rt-cli", 1
            )
        )
    except Exception as error:  # noqa: BLE001  # a check that breaks is a finding, too
        if crippled:
            tell(Finding(check.name, "fail", f"cannot be looked at ({error})", "mend the libraries first", 1))
        else:
            tell(failed(check.name, unexpected(error)))
