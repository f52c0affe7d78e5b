"""The keys of the settings, and the conversion of one value: kind, unit and range. Pure.

The keys are the fields of the settings' dataclasses; there is no other list of them. The key of a field in seconds has
no suffix ``_s``, because its value may contain a unit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from rt_cli.audio.channels import parse_pick
from rt_cli.config.result_format import format_of_name
from rt_cli.errors import UsageError
from rt_cli.protocol.dialects import DIALECTS
from rt_cli.protocol.endpoint.headers import Headers, checked, parse_header
from rt_cli.protocol.endpoint.proxy import check_proxy
from rt_cli.protocol.sanitize import printable
from rt_cli.settings import OutputFormat, Settings
from rt_cli.settings.declaration import Declaration, declaration_of, is_declared, title_of

if TYPE_CHECKING:
    from collections.abc import Callable


_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*(ms|s|m|h)?")
_NOT_IN_KEYTERMS = set("<>\r\n")
"""Endpoints refuse the whole session for these."""
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
    default: Any
    declared: Declaration
    title: str = ""
    """Heading of the table."""

    @property
    def variable(self) -> str | None:
        """The environment variable; None for a table, and for a key that variables do not set."""
        return f"RT_{self.name.upper()}" if self.declared.only is None and self.kind is not tuple else None

    @property
    def unit(self) -> str:
        """``ms``, ``s`` or empty."""
        return next((unit for unit in ("ms", "s") if self.field.endswith(f"_{unit}")), "")

    @property
    def is_table(self) -> bool:
        """Whether the config file has it as a table of its own."""
        return self.kind is tuple and bool(self.declared.sample)

    @property
    def choices(self) -> tuple[str, ...]:
        """All values of a Literal; of a text the values that can be listed."""
        if self.name == "dialect":
            return tuple(DIALECTS)
        return get_args(self.kind) if get_origin(self.kind) is Literal else self.declared.examples


@cache
def settings_keys() -> dict[str, Key]:
    """Every key by its name; names are unique over all tables, so that a profile can be flat."""
    return {key.name: key for table in fields(Settings) for key in _keys_of(table)}


def _keys_of(table: Field[Any]) -> Iterator[Key]:
    for field in fields(table.type):  # type: ignore[arg-type] # the annotations of the settings are evaluated
        if not is_declared(field):
            continue
        hint: Any = field.type
        optional = get_origin(hint) in {Union, UnionType} and NoneType in get_args(hint)
        kind = next(arg for arg in get_args(hint) if arg is not NoneType) if optional else hint
        # Keep a Literal with its choices; reduce a generic such as tuple[...] to its origin.
        kind = kind if get_origin(kind) is Literal else get_origin(kind) or kind
        yield Key(
            field.name.removesuffix("_s"),
            table.name,
            field.name,
            kind,
            optional,
            field.default,
            declaration_of(field),
            title_of(table),
        )


def convert(key: Key, raw: object) -> object:
    """Convert the value of a key, from TOML, from the environment or from an option.

    Raises:
        ValueError: The value is invalid. The message says what the value must be, to follow the word "must".
    """
    if key.optional and raw == "auto":
        return None
    if key.kind is bool:
        return _boolean(raw)
    if key.name in _PARSERS:
        return _PARSERS[key.name](raw)
    if key.kind in (int, float):
        return _number(key, raw)
    if get_origin(key.kind) is Literal:
        return _choice(get_args(key.kind), raw)
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


def _verbosity(raw: object) -> int:
    if isinstance(raw, bool) or (isinstance(raw, str) and not raw.strip().isdecimal()):
        return 2 if _boolean(raw) else 0  # versions before 0.2 had no step between
    number = _parse_number(raw, "")
    if number is None or number < 0:
        raise ValueError("be 0, 1 or 2")
    return min(int(number), 2)


def _choice(choices: tuple[str, ...], raw: object) -> str:
    if isinstance(raw, str) and raw in choices:
        return raw
    if isinstance(raw, str) and raw.strip().lower() in choices:
        return raw.strip().lower()
    raise ValueError(f"be one of {', '.join(choices)}")


def _number(key: Key, raw: object) -> float:
    value = math.inf if key.declared.unlimited and raw == "max" else _parse_number(raw, key.unit)
    whole = key.kind is float or (value is not None and math.isfinite(value) and value == int(value))
    if value is None or not whole or not key.declared.low <= value <= key.declared.high:
        raise ValueError(f"be {_expectation(key)}{_or_auto(key)}")
    return value if key.kind is float else int(value)


def number_option(option: str, text: str, *, low: float, unit: str = "s", unlimited: bool = False) -> float:
    """Parse the number of an option that is no setting, in the syntax of the settings.

    Args:
        option: Name of the option, for the message.
        text: What the user gave.
        low: The smallest value.
        unit: ``s`` or ``ms``: a duration; empty: a number.
        unlimited: Whether ``max`` means infinity.

    Raises:
        UsageError: The text is no such number.
    """
    declared = Declaration(low=low, unlimited=unlimited)
    key = Key(option, "", f"_{unit}" if unit else "", float, optional=False, default=None, declared=declared)
    try:
        return _number(key, text)
    except ValueError as exc:
        raise UsageError(f"{option} must {exc}, not {printable(text)!r}") from None


def _expectation(key: Key) -> str:
    lowest, highest = key.declared.low, key.declared.high
    number = "a whole number" if key.kind is int else "a number"
    bounds = f"of at least {lowest:g}" if math.isinf(highest) else f"from {lowest:g} to {highest:g}"
    unit = {"ms": " (milliseconds; or with a unit: ms, s)", "s": " (seconds; or with a unit: ms, s, m, h)"}
    return f"{number} {bounds}{unit.get(key.unit, '')}" + (", or max" if key.declared.unlimited else "")


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


def _format(raw: object) -> str:
    kind = format_of_name(raw) if isinstance(raw, str) else None
    return kind or _choice(get_args(OutputFormat), raw)


def _keyterms(raw: object) -> tuple[str, ...]:
    terms = [raw] if isinstance(raw, str) else raw
    if not isinstance(terms, Sequence) or not all(isinstance(term, str) and term.strip() for term in terms):
        raise ValueError("be a list of texts, none of them empty")
    if any(set(term) & _NOT_IN_KEYTERMS for term in terms):
        raise ValueError("have neither < nor > nor line ends")
    return tuple(_check_utf8(term.strip()) for term in terms)


def _language(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("be text, not empty, or auto")
    from rt_cli.config.languages import codes_of

    return codes_of(_check_utf8(raw))


def _one_language(raw: object) -> str:
    if "," in (code := _language(raw)):
        raise ValueError("be one language")
    return code


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


_PARSERS: dict[str, Callable[[object], object]] = {
    "channel": _channel,
    "extra": _overrides,
    "format": _format,
    "headers": _headers,
    "keyterm": _keyterms,
    "language": _language,
    "proxy": check_proxy,
    "translate": _one_language,
    "verbose": _verbosity,
}
"""Keys whose values have a form of their own."""
