"""The keys of the settings, and the conversion of one value: kind, unit and range. Pure.

The keys are the fields of the settings' dataclasses; there is no other list of them. The key of a field in seconds has
no suffix ``_s``, because its value may contain a unit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rt_cli.audio.channels import parse_pick
from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.headers import Headers, checked, parse_header
from rt_cli.protocol.endpoint.proxy import check_proxy
from rt_cli.settings import Settings

RANGES: dict[str, tuple[float, float]] = {
    "chunk_ms": (10, 1000),
    "duration": (0.01, math.inf),
    "sample_rate": (1000, 384_000),
    "channels": (1, 64),
    "gain": (-60, 60),
    "price_per_minute": (0, math.inf),
    "stop_after_silence": (0.5, math.inf),
    "vad_threshold": (0, 1),
    "silence_ms": (50, 60_000),
    "prefix_ms": (0, 10_000),
    "max_turn": (1, 3600),
    "speed": (0.01, math.inf),
    "connect_timeout": (0.1, 3600),
    "drain_timeout": (0.1, 3600),
    "retry_for": (0, math.inf),
    "catch_up": (1, math.inf),
    "max_session": (1, math.inf),
    "max_cost": (0.0001, math.inf),
}
"""Smallest and largest value of every number, in the unit of its field."""

_UNLIMITED = {"speed", "catch_up"}
"""Numbers that accept ``max``."""
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*(ms|s|m|h)?")
_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Key:
    """One value that can be configured."""

    name: str
    """Name in the config file, in ``RT_...`` and as an option."""
    table: str
    field: str
    kind: Any
    """bool, int, float, str, tuple or a Literal."""
    optional: bool
    """Whether the key accepts ``auto``, which means None."""
    only: str | None
    """``profiles``: not allowed in tables and environment. ``rt``: set by the loader only."""

    @property
    def unit(self) -> str:
        """``ms``, ``s`` or empty."""
        return next((unit for unit in ("ms", "s") if self.field.endswith(f"_{unit}")), "")


@cache
def settings_keys() -> dict[str, Key]:
    """Every key by its name; names are unique over all tables, so that a profile can be flat."""
    tables = get_type_hints(Settings)
    return {key.name: key for table, cls in tables.items() for key in _keys_of(table, cls)}


def _keys_of(table: str, cls: type) -> list[Key]:
    hints = get_type_hints(cls)
    keys = []
    for field in fields(cls):
        hint = hints[field.name]
        optional = get_origin(hint) in {Union, UnionType} and NoneType in get_args(hint)
        kind = next(arg for arg in get_args(hint) if arg is not NoneType) if optional else hint
        # Keep a Literal with its choices; reduce a generic such as tuple[...] to its origin.
        kind = kind if get_origin(kind) is Literal else get_origin(kind) or kind
        name = field.name.removesuffix("_s")
        keys.append(Key(name, table, field.name, kind, optional, field.metadata.get("only")))
    return keys


def convert(key: Key, raw: object) -> object:
    """Convert the value of a key, from TOML, from the environment or from an option.

    Raises:
        ValueError: The value is invalid. The message says what the value must be, to follow the word "must".
    """
    if key.optional and raw == "auto":
        return None
    if key.kind is bool:
        return _boolean(raw)
    if key.name == "headers":
        return _headers(raw)
    if key.kind is tuple:
        return _overrides(raw)
    if key.kind in (int, float):
        return _number(key, raw)
    if get_origin(key.kind) is Literal:
        return _choice(get_args(key.kind), raw)
    if key.name == "channel":
        return _channel(raw)
    if key.name == "proxy":
        return check_proxy(raw)
    if isinstance(raw, str) and raw.strip():
        return _check_utf8(raw) if key.table == "session" or key.name == "model" else raw
    raise ValueError("be text, not empty" + _or_auto(key))


def _check_utf8(text: str) -> str:
    """Return text that JSON can hold: no lone surrogates, which stand for non-UTF-8 bytes of the command line."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("be UTF-8 text") from None
    return text


def _channel(raw: object) -> str:
    text = str(raw) if isinstance(raw, str | int) else ""
    try:
        parse_pick(text)
    except UsageError as exc:
        raise ValueError((exc.hint or "").removeprefix("it must ")) from None
    return text


def _or_auto(key: Key) -> str:
    return ", or auto" if key.optional else ""


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in _BOOLEANS:
        return _BOOLEANS[raw.strip().lower()]
    raise ValueError("be true or false")


def _choice(choices: tuple[str, ...], raw: object) -> str:
    if isinstance(raw, str) and raw in choices:
        return raw
    raise ValueError(f"be one of {', '.join(choices)}")


def _number(key: Key, raw: object) -> float:
    lowest, highest = RANGES[key.name]
    value = math.inf if key.name in _UNLIMITED and raw == "max" else _parse_number(raw, key.unit)
    whole = key.kind is float or (value is not None and math.isfinite(value) and value == int(value))
    if value is None or not whole or not lowest <= value <= highest:
        raise ValueError(f"be {_expectation(key, lowest, highest)}{_or_auto(key)}")
    return value if key.kind is float else int(value)


def _expectation(key: Key, lowest: float, highest: float) -> str:
    number = "a whole number" if key.kind is int else "a number"
    bounds = f"of at least {lowest:g}" if math.isinf(highest) else f"from {lowest:g} to {highest:g}"
    unit = {"ms": " (milliseconds; or with a unit: ms, s)", "s": " (seconds; or with a unit: ms, s, m, h)"}
    return f"{number} {bounds}{unit.get(key.unit, '')}" + (", or max" if key.name in _UNLIMITED else "")


def _parse_number(raw: object, unit: str) -> float | None:
    """Parse a number, or a text with a number and, if the key has a unit, a unit. None if it is neither."""
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw) if abs(raw) < 2**53 or raw == math.inf else None
    found = _NUMBER.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if found is None or (found[2] and not unit):
        return None
    if not found[2]:
        return float(found[1])
    # Round: 1.1 s must be exactly 1100 ms.
    return round(float(found[1]) * _SECONDS[found[2]] / _SECONDS[unit], 6)


def _headers(raw: object) -> Headers:
    if isinstance(raw, Mapping):
        return tuple(checked(name, value) for name, value in raw.items())
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        return tuple(map(parse_header, raw))
    raise ValueError("be a table of name = value")


def _overrides(raw: object) -> tuple[tuple[str, object], ...]:
    if isinstance(raw, Mapping):
        return tuple(_flatten(raw, ""))
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        return tuple(override(item) for item in raw)
    raise ValueError("be a table of path = value")


def _flatten(table: Mapping[str, object], prefix: str) -> list[tuple[str, object]]:
    """Flatten nested tables to dotted paths; TOML parses ``audio.input.x = 1`` as nested tables."""
    pairs: list[tuple[str, object]] = []
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            pairs += _flatten(value, f"{prefix}{name}.")
        else:
            _check_json(value)
            pairs.append((f"{prefix}{name}", value))
    return pairs


def _check_json(value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("hold values that JSON has") from None


def override(text: object) -> tuple[str, object]:
    """Parse ``path=value`` of ``--set``: the value as JSON if it is valid JSON, else as text.

    Raises:
        ValueError: No ``=``, or no path before it.
    """
    path, equals, value = text.partition("=") if isinstance(text, str) else ("", "", "")
    if not equals or not path.strip():
        raise ValueError("be written path=value")
    _check_utf8(path + value)
    try:
        return path.strip(), json.loads(value, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return path.strip(), value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
