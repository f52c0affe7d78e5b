"""Run the checks one after the other. An error in one check does not stop the next one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.doctor.finding import Finding, ReportFinding, error_finding
from rt_cli.errors import RtError, unexpected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


@dataclass(frozen=True, slots=True)
class Check:
    """One check of ``rt doctor``."""

    name: str
    run: Callable[[ReportFinding], Awaitable[None]]
    """Runs the check and reports its findings; may raise anything."""
    deadline_s: float
    exit: int
    """Exit code of a run if this check exceeds its deadline."""


async def run_checks(checks: Sequence[Check], report: ReportFinding) -> None:
    """Run the checks in order; each reports at least one finding. Cancelling ends the running check."""
    libraries_missing = False
    for check in checks:
        findings: list[Finding] = []

        def report_and_keep(finding: Finding, findings: list[Finding] = findings) -> None:
            findings.append(finding)
            report(finding)

        await _run_check(check, report_and_keep, libraries_missing=libraries_missing)
        libraries_missing = libraries_missing or any(
            finding.check == "libraries" and finding.status == "fail" for finding in findings
        )
        if not findings:
            report(Finding(check.name, "skip", "nothing to look at"))


async def _run_check(check: Check, report: ReportFinding, *, libraries_missing: bool) -> None:
    """Run a check. With ``libraries_missing``, an unexpected error is a consequence of the missing libraries."""
    try:
        async with asyncio.timeout(check.deadline_s):
            await check.run(report)
    except TimeoutError:
        report(Finding(check.name, "fail", f"no answer within {check.deadline_s:g} s", "try again", check.exit))
    except RtError as error:
        report(error_finding(check.name, error))
    except ImportError as error:
        name = error.name or "rt-cli"
        report(
            Finding(
                check.name, "fail", f"{name} cannot be imported ({error})", "pip install --force-reinstall rt-cli", 1
            )
        )
    except Exception as error:  # noqa: BLE001  # an error of a check is a finding, too
        if libraries_missing:
            report(Finding(check.name, "fail", f"cannot be looked at ({error})", "mend the libraries first", 1))
        else:
            report(error_finding(check.name, unexpected(error)))
