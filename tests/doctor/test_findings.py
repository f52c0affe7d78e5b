"""Exit codes of findings, and checks that fail without an effect on later checks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rt_cli.doctor.finding import Finding, error_finding, exit_code
from rt_cli.doctor.run_checks import Check, run_checks
from rt_cli.errors import AudioError, EndpointError, RefusedError, RtError, UnreachableError, UsageError
from tests.fakes import run

if TYPE_CHECKING:
    from rt_cli.doctor.finding import ReportFinding


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([("ok", 0), ("warn", 0), ("skip", 0)], 0, id="nothing failed"),
        pytest.param([("fail", 5), ("ok", 0)], 5, id="one"),
        pytest.param([("fail", 5), ("fail", 3)], 3, id="the cause wins"),
        pytest.param([("warn", 3)], 0, id="a warning ends nothing"),
    ],
)
def test_exit_code(statuses: list[tuple[str, int]], code: int) -> None:
    """The worst failure decides the exit code, as in a run."""
    assert exit_code([Finding("x", status, "", exit=code) for status, code in statuses]) == code  # type: ignore[arg-type]


def test_error_finding() -> None:
    """The finding of an error has its hint and its exit code."""
    finding = error_finding("devices", AudioError("no microphone", "connect one"))
    assert finding == Finding("devices", "fail", "no microphone", "connect one", 3)


@pytest.mark.parametrize("kind", [RtError, UsageError, AudioError, RefusedError, UnreachableError, EndpointError])
def test_every_error_has_a_fix(kind: type[RtError]) -> None:
    """An error without a hint still gets a fix."""
    assert error_finding("x", kind("something")).fix


async def _reports(report: ReportFinding) -> None:
    report(Finding("good", "ok", "all is well"))


async def _refuses(_report: ReportFinding) -> None:
    raise UsageError("a bad value", "write a good one")


async def _breaks(report: ReportFinding) -> None:
    report(Finding("half", "ok", "so far so good"))
    raise ZeroDivisionError("planted")


async def _misses(_report: ReportFinding) -> None:
    raise ImportError("no good", name="soxr")


async def _hangs(_report: ReportFinding) -> None:
    await asyncio.Event().wait()


async def _reports_nothing(_report: ReportFinding) -> None:
    return


def test_checks_are_independent() -> None:
    """Errors, bugs, missing libraries and timeouts become findings, and later checks still run."""
    looks = (_refuses, _breaks, _misses, _hangs, _reports_nothing, _reports)
    checks = [Check(look.__name__, look, 0.05 if look is _hangs else 10, 3) for look in looks]
    findings: list[Finding] = []

    run(run_checks(checks, findings.append))

    assert [(each.check, each.status, each.exit) for each in findings] == [
        ("_refuses", "fail", 2),
        ("half", "ok", 0),
        ("_breaks", "fail", 1),
        ("_misses", "fail", 1),
        ("_hangs", "fail", 3),
        ("_reports_nothing", "skip", 0),
        ("good", "ok", 0),
    ]
    assert "soxr" in findings[3].detail
    assert "pip install" in (findings[3].fix or "")


def test_error_with_missing_libraries() -> None:
    """With missing libraries, an unexpected error is not reported as a bug."""

    async def finds_one_missing(report: ReportFinding) -> None:
        report(Finding("libraries", "fail", "soxr cannot be imported", "pip install soxr", 1))

    findings: list[Finding] = []
    run(run_checks([Check("python", finds_one_missing, 10, 1), Check("sound", _breaks, 10, 3)], findings.append))

    assert findings[-1].fix == "mend the libraries first"
