"""The table, its conclusion and its remarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rt_cli.bench.limits import parse_limit
from rt_cli.bench.table import client_is_busy, conclusion, head, lines, milliseconds, remarks
from tests.bench.levels import level, session_result, talk_level

if TYPE_CHECKING:
    from rt_cli.bench.level import Level

LIMITS = [parse_limit("final_p95=1s"), parse_limit("errors=1%")]


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([level(1, 10), level(4, 20)], "held: 4 at once, the most that was tried"),
        ([level(1, 10), level(4, 2500)], "held: 1 at once; not 4: final_p95 2.50s (limit 1.00s)"),
        ([level(1, 2500)], "held: no level; not 1: final_p95 2.50s (limit 1.00s)"),
        ([level(1)], "held: no level; not 1: final_p95 not measured (limit 1.00s)"),
        (
            [level(1, 10, results=[session_result(), session_result(exit_=5)])],
            "held: no level; not 1: errors 50% (limit 1%)",
        ),
        ([level(1, 10), level(2, results=[session_result(exit_=5)])], "held: 1 at once; not 2: every session failed"),
        ([level(1, 10), level(2, 10, interrupted=True)], "held: 1 at once; not 2: interrupted"),
    ],
)
def test_conclusion(levels: list[Level], said: str) -> None:
    """One sentence: which level holds, which does not, and why."""
    assert conclusion(levels, LIMITS) == said


def test_columns_are_aligned() -> None:
    """All columns are aligned; a running level has neither yes nor no."""
    shown = lines([level(1, 10), level(128, *range(200))], LIMITS, running=True)
    assert len(shown) == 4
    assert len({len(line) for line in shown[1:]}) == 1
    assert all(len(line.split()) == len(head([level(1)])[1]) for line in shown[2:])
    assert shown[2].endswith("yes")
    assert shown[3].endswith("...")


def test_conversations_have_their_own_columns() -> None:
    """Latencies of replies, and how many of them ended, were interrupted, failed."""
    titles = [" ".join(title).strip() for title in zip(*head([talk_level(1)]), strict=True)]
    *lines_of_head, row = lines([talk_level(4, *range(100, 200))], [])
    shown = dict(zip(titles, row.split(), strict=True))
    assert [shown[name] for name in ("voice p50", "to voice p95", "p99")] == ["150ms", "194ms", "198ms"]
    assert [shown[name] for name in ("replies n", "inter- rupted", "failed")] == ["3", "2", "1"]
    assert (shown["at once"], shown["held"]) == ("4", "yes")
    assert "to final" not in lines_of_head[0]


def test_lost_sessions_are_said() -> None:
    """Of which nothing is known: the level does not hold, and a line has the account."""
    lost = talk_level(4, 10, lost=2)
    assert conclusion([lost], []) == "held: no level; not 4: 2 sessions lost"
    assert "4 at once: 3 sessions started, 1 finished, 0 failed: 2 lost" in remarks([lost])
    assert not any("lost" in remark for remark in remarks([talk_level(4, 10)]))


def test_few_values_are_marked() -> None:
    """A p95 of 19 values is their largest, of 20 it is not; a p99 needs a hundred."""
    marked = [lines([level(1, *range(count))], [])[-1].count("*") for count in (19, 20, 99, 100)]
    assert marked == [2, 1, 1, 0]


@pytest.mark.parametrize(
    ("measured", "felt"),
    [
        (level(1, cpu=0.5), False),
        (level(1, cpu=0.9), True),
        (level(1, cpu=0.1, results=[session_result(lagged=2)]), True),
    ],
)
def test_busy_client(measured: Level, felt: bool) -> None:  # noqa: FBT001 # a fact of the table above
    """A client with too little CPU is named in the remarks."""
    assert client_is_busy(measured) is felt
    assert any("some of the delay is its own" in remark for remark in remarks([measured])) is felt


def test_errors_and_warnings() -> None:
    """Errors and warnings are listed by code."""
    results = [session_result(error="refused", exit_=4), session_result(failures=2, lagged=1)]
    said = remarks([level(2, results=results)])
    assert "2 at once, errors: unclear 2, refused 1" in said
    assert "2 at once, warnings: loop_lag 1" in said


@pytest.mark.parametrize(("value", "text"), [(0, "0.0ms"), (9.96, "10.0ms"), (12.3, "12ms"), (1234.5, "1.23s")])
def test_times(value: float, text: str) -> None:
    """A time has a suitable unit."""
    assert milliseconds(value) == text
