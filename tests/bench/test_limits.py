"""Limits: their syntax, and the levels that keep them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rt_cli.bench.level import TALK_MEASURES, Level, tally
from rt_cli.bench.limits import NAMES, TALK_NAMES, Limit, exit_code, highest, holds, parse_limit
from rt_cli.bench.words import Words
from rt_cli.errors import UsageError
from tests.bench.levels import level, session_result, talk_level


@pytest.mark.parametrize(
    ("text", "name", "allowed"),
    [
        ("final_p95=2s", "final_p95", 2000),
        ("final_p95=2", "final_p95", 2000),
        ("first_partial_p50 = 300ms", "first_partial_p50", 300),
        ("lateness_max=1.5m", "lateness_max", 90_000),
        ("rtf_p95=1.2", "rtf_p95", 1.2),
        ("errors=1%", "errors", 0.01),
        ("errors=0", "errors", 0),
        ("wer=0.25", "wer", 0.25),
        ("client_cpu=80%", "client_cpu", 0.8),
    ],
)
def test_limit_is_read(text: str, name: str, allowed: float) -> None:
    """A limit is a name and a value with a unit."""
    limit = parse_limit(text)
    assert (limit.name, limit.allowed) == (name, pytest.approx(allowed))


@pytest.mark.parametrize(
    "text",
    ["", "final=2s", "final_p95", "final_p95=", "final_p95=fast", "final_p95=5%", "errors=2s", "rtf_p95=2s", "wer=-1"],
)
def test_bad_limit_is_refused(text: str) -> None:
    """The error has a hint."""
    with pytest.raises(UsageError) as caught:
        parse_limit(text)
    assert caught.value.hint


def test_misspelt_name() -> None:
    """For a misspelt name the hint suggests the right one."""
    with pytest.raises(UsageError, match="did you mean final_p95"):
        parse_limit("finl_p95=2s")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_measured_holds_no_limit(name: str) -> None:
    """A limit on a value without measurements is not kept."""
    assert not Limit(name, 1e9).is_kept(Level(4))


@pytest.mark.parametrize("name", TALK_NAMES)
def test_nothing_measured_of_conversations_holds_no_limit(name: str) -> None:
    """Nor is it kept for conversations."""
    assert not Limit(name, 1e9).is_kept(Level(4, measures=tally(TALK_MEASURES)))


@pytest.mark.parametrize(
    ("name", "talk"), [("voice_to_voice_p95", False), ("rtf_p95", True), ("first_partial_p50", True)]
)
def test_limit_of_the_other_kind(name: str, *, talk: bool) -> None:
    """What the sessions do not measure is named as such."""
    with pytest.raises(UsageError, match="conversations have"):
        parse_limit(f"{name}=2", talk=talk)
    assert parse_limit(f"{name}=2", talk=not talk).name == name


HALF_WRONG = Words(reference=10, substitutions=3, deletions=1, insertions=1)


@pytest.mark.parametrize(
    ("measured", "limit", "held"),
    [
        (level(1, 100, 200), "final_p95=200ms", True),
        (level(1, 100, 201), "final_p95=200ms", False),
        (level(1, *[100] * 19, 900), "final_p95=200ms", True),
        (level(1, *[100] * 19, 900), "final_max=200ms", False),
        (level(1, results=[session_result()] * 99 + [session_result(error="x", exit_=5)]), "errors=1%", True),
        (level(1, results=[session_result()] * 98 + [session_result(failures=1)] * 2), "errors=1%", False),
        (level(1, results=[session_result(words=HALF_WRONG)]), "wer=50%", True),
        (level(1, results=[session_result(words=HALF_WRONG)]), "wer=49%", False),
        (level(1, cpu=0.5), "client_cpu=50%", True),
        (level(1, cpu=0.6), "client_cpu=50%", False),
        (level(1, 1, results=[session_result(exit_=5)]), "final_p95=1m", False),
        (level(1, 1, interrupted=True), "final_p95=1m", False),
        (level(1, 1, results=[]), "final_p95=1m", False),
    ],
)
def test_level_holds(measured: Level, limit: str, *, held: bool) -> None:
    """A value equal to the limit is allowed. An interrupted or completely failed level never holds."""
    assert holds([parse_limit(limit)], measured) is held


LIMITS = [parse_limit("final_p95=1s")]


@pytest.mark.parametrize(
    ("levels", "most", "code"),
    [
        ([level(1, 10), level(2, 20)], 2, 0),
        ([level(1, 10), level(2, 2000)], 1, 0),
        ([level(1, 2000)], None, 7),
        ([level(1, results=[session_result(exit_=5), session_result(exit_=4)])], None, 4),
        ([level(1, interrupted=True)], None, 7),
        ([], None, 7),
        ([replace(level(1, 10), started=1)], 1, 0),
        ([replace(level(1, 10), started=3)], None, 7),
        ([level(1, 10), replace(level(2, 10), started=2)], 1, 7),
        ([replace(level(1, 10), started=3, running=2)], 1, 0),
    ],
)
def test_highest_and_exit_code(levels: list[Level], most: int | None, code: int) -> None:
    """The highest level that holds, and exit code 0 if there is one."""
    assert highest(LIMITS, levels) == most
    assert exit_code(LIMITS, levels) == code


TALK_LIMITS = [parse_limit("voice_to_voice_p95=1s", talk=True)]


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([talk_level(1, 999)], 0),
        ([talk_level(1, 1001)], 8),
        ([talk_level(1, 10), talk_level(2, 2000)], 0),
        ([talk_level(1)], 8),
        ([talk_level(1, 1001, exit_=7)], 7),
        ([talk_level(1, 1001, exit_=5)], 5),
        ([talk_level(1, 999, lost=1)], 7),
        ([talk_level(1, 1001, lost=1)], 7),
    ],
)
def test_exit_code_of_conversations(levels: list[Level], code: int) -> None:
    """8 if they are not what was expected; a cause, or a lost session, is worse."""
    assert exit_code(TALK_LIMITS, levels) == code
