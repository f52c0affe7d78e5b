"""Matching of events to turns, order of turns, and their numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.protocol.session.turn_list import Turn, TurnList


def named(
    name: str | None = None, start: int | None = None, *, committed: bool = False, alias: str | None = None
) -> Turn:
    """Return a turn with these fields."""
    return Turn(0.0, start=start, ids={name} if name else set(), committed=committed, alias=alias)


def order(turns: TurnList) -> list[str]:
    """Return the ids of the open turns in order."""
    return ["".join(turn.ids) for turn in turns.open]


@pytest.mark.parametrize(
    ("known", "new", "previous", "expected"),
    [
        pytest.param([("a", None), ("b", None)], ("c", None), None, "abc", id="nothing known: last"),
        pytest.param([("a", None), ("b", None)], ("c", None), "a", "acb", id="behind its previous"),
        pytest.param([("a", None), ("b", None)], ("c", None), "x", "abc", id="previous unknown: last"),
        pytest.param([("a", 10), ("b", 30)], ("c", 20), None, "acb", id="by offset"),
        pytest.param([("a", 10), ("b", None)], ("c", 5), None, "cab", id="before what starts later"),
        pytest.param([("a", 10), ("b", None)], ("c", 20), None, "abc", id="behind what starts earlier"),
        pytest.param([("a", 10), ("b", 30)], ("c", 20), "b", "abc", id="the previous item wins"),
    ],
)
def test_the_place_of_a_new_turn(
    known: list[tuple[str, int | None]], new: tuple[str, int | None], previous: str | None, expected: str
) -> None:
    """By ``previous``, else by its offset, else by its arrival."""
    turns = TurnList(0)
    turns.open = [named(*each) for each in known]
    turn = named(*new)
    turn.previous = previous
    turns.place(turn)

    assert "".join(order(turns)) == expected


def test_a_turn_is_placed_before_its_follower() -> None:
    """The follower was known first; the earlier turn takes its place."""
    turns = TurnList(0)
    later = named("b")
    later.previous = "a"
    turns.place(later)
    turns.place(named("a"))

    assert order(turns) == ["a", "b"]


@settings(deadline=None)
@given(starts=st.lists(st.integers(0, 1000), unique=True, max_size=12))
def test_offsets_define_the_order(starts: list[int]) -> None:
    """Turns with offsets are in timeline order for any order of arrival."""
    turns = TurnList(0)
    for start in starts:
        turns.place(named(str(start), start))

    assert [turn.start for turn in turns.open] == sorted(starts)


@settings(deadline=None)
@given(arrival=st.permutations(range(8)))
def test_previous_items_define_the_order(arrival: list[int]) -> None:
    """A chain of previous items is complete for any order of arrival."""
    turns = TurnList(0)
    links = {number: named(f"{number}") for number in arrival}
    for _ in range(2):
        for number in arrival:
            links[number].previous = f"{number - 1}" if number else None
            turns.place(links[number])

    assert order(turns) == [f"{number}" for number in range(8)]


def test_circular_previous_items_lose_no_turn() -> None:
    """Two turns that follow each other both stay."""
    turns = TurnList(0)
    first, second = named("a"), named("b")
    first.previous, second.previous = "b", "a"
    for turn in (first, second, first, second):
        turns.place(turn)

    assert sorted(order(turns)) == ["a", "b"]


def test_numbers_follow_the_order() -> None:
    """An earlier turn without a number gets its number first."""
    turns = TurnList(0, next_number=5)
    turns.open = [named("a"), named("b")]

    assert turns.number(turns.open[1]) == 6
    assert turns.number(turns.open[0]) == 5
    assert turns.next_number == 7


def test_withdrawn_numbers_are_used_again() -> None:
    """withdraw() returns only the reported numbers; all are free again."""
    turns = TurnList(0)
    turns.open = [named("a"), named("b"), named("c")]
    turns.number(turns.open[0])
    turns.number(turns.open[2])

    assert turns.withdraw(1) == [3]
    assert turns.next_number == 2
    assert turns.withdraw() == [1]
    assert turns.next_number == 1


@pytest.mark.parametrize(
    ("known", "item_id", "expected"),
    [
        pytest.param([named("a"), named("b")], "b", 1, id="its own"),
        pytest.param([named("a", alias="x")], "x", 0, id="as its words came before"),
        pytest.param([named("a", committed=True), named("b", committed=True)], None, 0, id="no id: the oldest"),
        pytest.param([named("a", committed=True), named()], "x", 0, id="ids of no use: the oldest committed"),
        pytest.param([named("a", committed=True, alias="x"), named()], "y", 1, id="not named yet"),
        pytest.param([named("a")], "x", None, id="named and not committed"),
        pytest.param([], "x", None, id="none open"),
    ],
)
def test_which_turn_a_transcript_belongs_to(known: list[Turn], item_id: str | None, expected: int | None) -> None:
    """By a known id, else by order."""
    turns = TurnList(0)
    turns.open = known

    assert turns.find_by_transcript(item_id) is (None if expected is None else known[expected])


def test_once_ids_match_an_unknown_id_belongs_to_no_turn() -> None:
    """After a transcript with a known id, an unknown id is not matched by order."""
    turns = TurnList(0)
    turns.open = [named("a", committed=True), named("b", committed=True)]
    turns.find_by_transcript("b")

    assert turns.find_by_transcript("x") is None


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        pytest.param([(0, 500), (None, None)], 500, id="as told"),
        pytest.param([(0, None), (300, 400)], 300, id="where the next begins"),
        pytest.param([(0, None), (None, 400)], 400, id="where the next ends"),
        pytest.param([(0, None)], 900, id="where we are"),
    ],
)
def test_the_end_of_a_turn(turns: list[tuple[int | None, int | None]], expected: int) -> None:
    """Its own end, else the next known position, else the end of the sent audio."""
    known = TurnList(0)
    known.open = [Turn(0.0, start=start, end=end) for start, end in turns]

    assert known.end_of(known.open[0], 900) == expected
