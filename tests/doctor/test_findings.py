"""What findings mean, and that a check that breaks keeps no other from being made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rt_cli.doctor.finding import Finding, exit_code, failed
from rt_cli.doctor.run_checks import Check, examine
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
    """The gravest failure decides, as in the main job."""
    assert exit_code([Finding("x", status, "", exit=code) for status, code in statuses]) == code  # type: ignore[arg-type]


def test_failed() -> None:
    """An error is told with its hint and its exit code."""
    finding = failed("devices", AudioError("no microphone", "connect one"))
    assert finding == Finding("devices", "fail", "no microphone", "connect one", 3)


@pytest.mark.parametrize("kind", [RtError, UsageError, AudioError, RefusedError, UnreachableError, EndpointError])
def test_always_something_to_do(kind: type[RtError]) -> None:
    """Even where an error has no hint of its own."""
    assert failed("x", kind("something")).fix


async def _tells(tell: ReportFinding) -> None:
    tell(Finding("good", "ok", "all is well"))


async def _refuses(_tell: ReportFinding) -> None:
    raise UsageError("a bad value", "write a good one")


async def _breaks(tell: ReportFinding) -> None:
    tell(Finding("half", "ok", "so far so good"))
    raise ZeroDivisionError("planted")


async def _misses(_tell: ReportFinding) -> None:
    raise ImportError("no good", name="soxr")


async def _hangs(_tell: ReportFinding) -> None:
    await asyncio.Event().wait()


async def _says_nothing(_tell: ReportFinding) -> None:
    return


def test_each_on_its_own() -> None:
    """Errors, bugs, missing libraries and hangs are findings, and the checks after them are made."""
    looks = (_refuses, _breaks, _misses, _hangs, _says_nothing, _tells)
    checks = [Check(look.__name__, look, 0.05 if look is _hangs else 10, 3) for look in looks]
    told: list[Finding] = []

    run(examine(checks, told.append))

    assert [(each.check, each.status, each.exit) for each in told] == [
        ("_refuses", "fail", 2),
        ("half", "ok", 0),
        ("_breaks", "fail", 1),
        ("_misses", "fail", 1),
        ("_hangs", "fail", 3),
        ("_says_nothing", "skip", 0),
        ("good", "ok", 0),
    ]
    assert "soxr" in told[3].detail
    assert "pip install" in (told[3].fix or "")


def test_crippled() -> None:
    """What breaks where libraries are missing is no bug to be reported."""

    async def finds_one_missing(tell: ReportFinding) -> None:
        tell(Finding("libraries", "fail", "soxr cannot be imported", "pip install soxr", 1))

    told: list[Finding] = []
    run(examine([Check("python", finds_one_missing, 10, 1), Check("sound", _breaks, 10, 3)], told.append))

    assert told[-1].fix == "mend the libraries first"
