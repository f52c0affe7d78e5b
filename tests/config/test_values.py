"""Conversion of one value: kind, unit, range."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.config.values import convert, number_option, override, settings_keys
from rt_cli.errors import UsageError
from rt_cli.settings import Settings
from rt_cli.settings.declaration import is_declared


def test_every_number_has_a_range_and_nothing_else_has() -> None:
    """Exactly the numeric keys have a range."""
    ranged = {key.name for key in settings_keys().values() if math.isfinite(key.declared.low)}
    assert ranged == {key.name for key in settings_keys().values() if key.kind in (int, float)}


def test_every_default_is_in_its_range() -> None:
    """Every default is within its own range."""
    defaults = Settings()
    for key in settings_keys().values():
        value = getattr(getattr(defaults, key.table), key.field)
        if value is not None and key.kind is not tuple:
            assert convert(key, value) == value, key.name


def test_key_names_are_unique() -> None:
    """Key names are unique over all tables: a profile is flat."""
    tables = ("endpoint", "input", "session", "delivery", "output", "talk")
    fields = [field for table in tables for field in _fields(table)]

    assert len(fields) == len(settings_keys())


def _fields(table: str) -> list[str]:
    declared = type(getattr(Settings(), table)).__dataclass_fields__
    return [name for name, field in declared.items() if is_declared(field)]


def test_every_declaration_is_whole() -> None:
    """Each key explains itself; an option has one line of help, a metavar unless it is a flag, and a long name."""
    for name, key in settings_keys().items():
        declared = key.declared
        assert declared.doc, name
        assert bool(declared.option) == bool(declared.help), name
        if declared.option:
            assert declared.flags[0].startswith("--"), name
            assert (declared.metavar is None) == (key.kind is bool or declared.repeated), name
        if key.optional and declared.only is None:
            assert declared.auto, name


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("duration", 90, 90.0),
        ("duration", "90", 90.0),
        ("duration", "1.5m", 90.0),
        ("duration", "250 ms", 0.25),
        ("duration", "1h", 3600.0),
        ("duration", "auto", None),
        ("silence_ms", 700, 700),
        ("silence_ms", 700.0, 700),
        ("silence_ms", "700", 700),
        ("silence_ms", "0.7s", 700),
        ("silence_ms", "1.1s", 1100),
        ("speed", "max", math.inf),
        ("speed", math.inf, math.inf),
        ("speed", ".5", 0.5),
        ("partials", "Yes", True),
        ("partials", "0", False),
        ("status", "auto", "auto"),
        ("turn_detection", "auto", None),
        ("turn_detection", "client", "client"),
        ("model", "m", "m"),
    ],
)
def test_a_value_is_read(name: str, raw: object, expected: object) -> None:
    """Values from TOML have a type; those from environment and options are text."""
    value = convert(settings_keys()[name], raw)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("duration", 0),
        ("duration", "1d"),
        ("duration", "-1s"),
        ("duration", "1s 2s"),
        ("duration", math.nan),
        ("duration", True),
        ("duration", "max"),
        ("duration", [1]),
        ("silence_ms", 700.5),
        ("silence_ms", "1m 1"),
        ("silence_ms", 10**400),
        ("silence_ms", "9" * 400),
        ("silence_ms", "auto"),
        ("channels", "2s"),
        ("channels", 0),
        ("speed", "2s"),
        ("speed", 0),
        ("vad_threshold", -0.1),
        ("partials", 1),
        ("partials", "auto"),
        ("status", "loud"),
        ("model", ""),
        ("model", " "),
        ("model", 3),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_invalid_value_is_refused(name: str, raw: Any) -> None:
    """An invalid value raises an error whose text follows the word "must"."""
    with pytest.raises(ValueError, match=r"^be "):
        convert(settings_keys()[name], raw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1", ("a.b", 1)),
        ("a=low", ("a", "low")),
        ('a="1"', ("a", "1")),
        ("a=null", ("a", None)),
        ("a=[1,2]", ("a", [1, 2])),
        ("a=x=y", ("a", "x=y")),
        ("a=", ("a", "")),
        ("a=NaN", ("a", "NaN")),
        (" a =1", ("a", 1)),
    ],
)
def test_an_override_is_json_or_text(text: str, expected: tuple[str, object]) -> None:
    """Valid JSON is parsed; other text stays text, and quotes force text."""
    assert override(text) == expected


@pytest.mark.parametrize("text", ["", "a", "=1", " =1", 3], ids=repr)
def test_an_override_without_a_path_is_refused(text: object) -> None:
    """An override without a path is an error."""
    with pytest.raises(ValueError, match="path=value"):
        override(text)


@given(st.text())
def test_any_text_is_an_override_or_refused(text: str) -> None:
    """Any text is parsed or raises ValueError."""
    try:
        path, _ = override(text)
    except ValueError:
        return
    assert path


@pytest.mark.parametrize(("text", "expected"), [("2s", 2.0), ("1.5m", 90.0), ("0", 0.0), ("250ms", 0.25)])
def test_duration_of_an_option_that_is_no_setting(text: str, expected: float) -> None:
    """The syntax is that of the settings."""
    assert number_option("--spread", text, low=0) == expected


@pytest.mark.parametrize("text", ["auto", "max", "-1", "soon", "", "1d", "\x1b[31m"])
def test_invalid_duration_of_an_option_is_named(text: str) -> None:
    """``auto`` is for settings only; the text is shown without control characters."""
    with pytest.raises(UsageError, match=r"^--spread must be a number of at least 0 ") as caught:
        number_option("--spread", text, low=0)
    assert str(caught.value).isprintable()


def test_unlimited_number_of_an_option() -> None:
    """Without a unit, and with ``max``."""
    assert number_option("--speed", "max", low=0.01, unit="", unlimited=True) == math.inf
    assert number_option("--speed", "2", low=0.01, unit="") == 2
    with pytest.raises(UsageError, match="--speed"):
        number_option("--speed", "2s", low=0.01, unit="")
