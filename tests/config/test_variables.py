"""Variables that look as if they were ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rt_cli
from rt_cli.config.values import settings_keys
from rt_cli.config.variables import OTHERS, misspelt
from tests.program import rt

KNOWN = {f"RT_{name.upper()}" for name, key in settings_keys().items() if key.declared.only is None} | OTHERS


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RT_SILENCE", "RT_SILENCE_MS"),
        ("RT_LANG", "RT_LANGUAGE"),
        ("RT_MODLE", "RT_MODEL"),
        ("RT_APIKEY", "RT_API_KEY"),
        ("RT_silence_ms", "RT_SILENCE_MS"),
        ("RT_CONECT_TIMEOUT", "RT_CONNECT_TIMEOUT"),
        ("RT_OUTPUT", "RT_FORMAT"),
    ],
)
def test_variable_near_a_known_one_is_said(name: str, meant: str) -> None:
    """One line, with the known one."""
    assert list(misspelt([name, "HOME", *KNOWN])) == [f"{name} is unknown: did you mean {meant}?"]


@pytest.mark.parametrize("name", ["RT_X", "RT_DATABASE_HOST", "PORT_MODEL", "RTMODEL", "RT_", "rt_model"])
def test_variable_of_another_program_is_left_alone(name: str) -> None:
    """Far from ours, or without the prefix."""
    assert list(misspelt([name])) == []


@given(st.text())
def test_any_name_is_answered(name: str) -> None:
    """Nothing is raised; a line holds no control characters."""
    for line in misspelt([f"RT_{name}"]):
        assert line.isprintable()


def test_every_variable_of_the_program_is_known() -> None:
    """Those that the code reads by name."""
    named = set()
    for path in Path(rt_cli.__file__).parent.rglob("*.py"):
        named |= set(re.findall(r'(?:environ(?:\.get\(|\[)|= )"(RT_[A-Z_]+)"', path.read_text(encoding="utf-8")))
    assert named <= KNOWN


def test_program_says_it_unless_quiet() -> None:
    """Once, before the run; doctor has it as a finding."""
    line = "warning: RT_SILENCE is unknown: did you mean RT_SILENCE_MS?"
    env = {"RT_SILENCE": "200"}

    assert rt("send", "nosuch.wav", "--local", env=env).err.splitlines().count(line) == 1
    assert line not in rt("send", "nosuch.wav", "--local", "-q", env=env).err
    findings = rt("doctor", "--no-mic", "--local", "--json", env=env).of("finding")
    assert [finding["detail"] for finding in findings if finding["check"] == "config"][1:] == [
        line.removeprefix("warning: ")
    ]
