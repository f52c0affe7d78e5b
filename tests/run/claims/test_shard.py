"""``--shard``: each name is in one part, the same everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.run.claims.shard import Shard, parse_shard

NAMES = [f"talks/{number:03}.wav" for number in range(200)]


def slurm(own: object, first: object, last: object, count: object) -> dict[str, str]:
    """Return the variables of a task of an array."""
    values = {"ID": own, "MIN": first, "MAX": last, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("1/1", {}, Shard(1, 1)),
        ("3/8", {}, Shard(3, 8)),
        ("8/8", slurm(1, 1, 4, 4), Shard(8, 8)),
        ("auto", slurm(0, 0, 63, 64), Shard(1, 64)),
        ("auto", slurm(63, 0, 63, 64), Shard(64, 64)),
        ("auto", slurm(1, 1, 8, 8), Shard(1, 8)),
        ("auto", slurm(12, 10, 12, 3), Shard(3, 3)),
        ("auto", slurm(7, 7, 7, 1), Shard(1, 1)),
        ("auto/5", {"JOB_COMPLETION_INDEX": "0"}, Shard(1, 5)),
        ("auto/5", {"JOB_COMPLETION_INDEX": "4"}, Shard(5, 5)),
        ("auto/5", {"JOB_COMPLETION_INDEX": "4"} | slurm(1, 1, 2, 2), Shard(5, 5)),
    ],
)
def test_which_part(text: str, environ: dict[str, str], expected: Shard) -> None:
    """As given, or as the scheduler says."""
    assert parse_shard(text, environ) == expected


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        ("0/4", {}, "no shard 0 of 4"),
        ("5/4", {}, "no shard 5 of 4"),
        ("1/0", {}, "no shard 1 of 0"),
        *(
            (text, {}, "no part of a list")
            for text in ("", "3", "1/", "/2", "-1/2", "1/2/3", "1.5/2", "a/b", "\u0661/\u0662")
        ),
        ("auto\x1b[2J", {}, "no part of a list"),
        ("auto", {}, "is for a SLURM array"),
        ("auto", {"JOB_COMPLETION_INDEX": "1"}, "is for a SLURM array"),
        ("auto", slurm(4, 0, 6, 4), "4 of the tasks 0 to 6"),  # a step
        ("auto", slurm(7, 3, 9, 3), "3 of the tasks 3 to 9"),  # a list
        ("auto", slurm(9, 0, 3, 4), "task 9 is none of 0 to 3"),
        ("auto", slurm(1, "", 3, 4), "SLURM_ARRAY_TASK_MIN is ''"),
        ("auto", slurm("x\x1b", 0, 3, 4), "SLURM_ARRAY_TASK_ID is"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_MIN is ''"),
        ("auto/4", {}, "JOB_COMPLETION_INDEX, which is not set"),
        ("auto/4", slurm(1, 1, 4, 4), "JOB_COMPLETION_INDEX, which is not set"),
        ("auto/4", {"JOB_COMPLETION_INDEX": "4"}, "no shard 5 of 4"),
        ("auto/4", {"JOB_COMPLETION_INDEX": "-1"}, "not a number"),
    ],
)
def test_no_such_part(text: str, environ: dict[str, str], message: str) -> None:
    """One printable line says why."""
    with pytest.raises(UsageError) as caught:
        parse_shard(text, environ)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.lists(st.text(min_size=1), unique=True), st.integers(1, 20))
def test_parts_are_the_whole(names: list[str], count: int) -> None:
    """Each name is in one part, in the order of the list."""
    names = [name.encode("utf-8", "ignore").decode() for name in names]
    parts = [Shard(number, count).pick(names) for number in range(1, count + 1)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    for part in parts:
        assert part == [name for name in names if name in part]


def test_part_does_not_depend_on_the_others() -> None:
    """A new file moves no other, and the same part of a re-run has the same files on any machine."""
    assert Shard(2, 7).pick(NAMES) == [name for name in NAMES if Shard(2, 7).pick([name])]
    assert [name[6:9] for name in Shard(2, 40).pick(NAMES)] == ["000", "079", "093", "155"]


def test_parts_are_alike() -> None:
    """Of many names each part has its share."""
    names = [f"{number}.wav" for number in range(4000)]
    sizes = [len(Shard(number, 4).pick(names)) for number in range(1, 5)]
    assert max(sizes) < 1.1 * min(sizes)


def test_spelling_of_a_path() -> None:
    """A machine may write the same path with ``./``, or a bare name in bytes that are no text."""
    for name in (*NAMES, "a\udcff.wav"):
        assert sum(len(Shard(number, 5).pick([name, f"./{name}"])) == 2 for number in range(1, 6)) == 1
