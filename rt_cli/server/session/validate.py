"""Validators for client events; errors use OpenAI's codes and name the field by its path. Pure.

A check takes a value and its path. A check returns the effective value or raises
:class:`~rt_cli.server.session.wire.Rejected`. Checks compose, so that one expression describes a whole object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from rt_cli.server.session.wire import Rejected

Check = Callable[[Any, str], Any]

MAX_TEXT = 16_384
MAX_LIST = 1_024
_MAX_PATH = 200
_MAX_SHOWN = 2**53
"""Error messages do not repeat larger numbers, because JSON integers have no size limit."""


def anything(value: Any, _param: str) -> Any:
    """Accept any value."""
    return value


def mapping(value: Any, param: str) -> Any:
    """Accept an object with any content."""
    if not isinstance(value, dict):
        raise Rejected("invalid_type", f"{param} must be an object.", param)
    return value


def fields(checks: Mapping[str, Check], *, required: tuple[str, ...] = ()) -> Check:
    """Accept an object with known keys and valid values only.

    Args:
        checks: The check of each allowed key.
        required: Keys that must be present.
    """

    def check(value: Any, param: str) -> dict[str, Any]:
        for name in mapping(value, param):
            if name not in checks:
                path = f"{param}.{name}"[:_MAX_PATH]
                raise Rejected("unknown_parameter", f"Unknown parameter: {path!r}.", path)
        for name in required:
            if name not in value:
                path = f"{param}.{name}"
                raise Rejected("missing_required_parameter", f"Missing required parameter: {path!r}.", path)
        return {name: checks[name](item, f"{param}.{name}") for name, item in value.items()}

    return check


def nullable(check: Check, default: Any = None) -> Check:
    """Accept what ``check`` accepts, or null, which becomes ``default``."""
    return lambda value, param: default if value is None else check(value, param)


def one_of(*choices: str) -> Check:
    """Accept one of these strings."""

    def check(value: Any, param: str) -> str:
        if value not in choices:
            raise Rejected("invalid_value", f"{param} must be one of: {', '.join(choices)}.", param)
        return str(value)

    return check


def number(kind: Literal["integer", "decimal"], low: float, high: float) -> Check:
    """Accept a number from ``low`` to ``high``, both included."""

    def check(value: Any, param: str) -> Any:
        right = isinstance(value, int) or (kind == "decimal" and isinstance(value, float))
        if not right or isinstance(value, bool):
            raise Rejected(
                "invalid_type", f"{param} must be {'an integer' if kind == 'integer' else 'a number'}.", param
            )
        got = f", got {value}" if abs(value) <= _MAX_SHOWN else ""
        if value < low:
            raise Rejected(f"{kind}_below_min_value", f"{param} must be at least {low}{got}.", param)
        if value > high:
            raise Rejected(f"{kind}_above_max_value", f"{param} must be at most {high}{got}.", param)
        return value

    return check


def boolean(value: Any, param: str) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise Rejected("invalid_type", f"{param} must be true or false.", param)
    return value


def text(longest: int = MAX_TEXT, *, shortest: int = 0) -> Check:
    """Accept a string of ``shortest`` to ``longest`` characters."""

    def check(value: Any, param: str) -> str:
        if not isinstance(value, str):
            raise Rejected("invalid_type", f"{param} must be a string.", param)
        if len(value) > longest:
            raise Rejected("string_above_max_length", f"{param} is longer than {longest} characters.", param)
        if len(value) < shortest:
            raise Rejected("string_below_min_length", f"{param} is shorter than {shortest} characters.", param)
        return value

    return check


def list_of(check: Check, longest: int = MAX_LIST) -> Check:
    """Accept a list of at most ``longest`` elements, each valid for ``check``."""

    def checked(value: Any, param: str) -> list[Any]:
        if not isinstance(value, list):
            raise Rejected("invalid_type", f"{param} must be a list.", param)
        if len(value) > longest:
            raise Rejected("array_above_max_length", f"{param} has more than {longest} elements.", param)
        return [check(item, f"{param}[{index}]") for index, item in enumerate(value)]

    return checked


def by_type(checks: Mapping[str, Check]) -> Check:
    """Accept an object that is valid for the check of its ``type``."""

    def check(value: Any, param: str) -> Any:
        if "type" not in mapping(value, param):
            path = f"{param}.type"
            raise Rejected("missing_required_parameter", f"Missing required parameter: {path!r}.", path)
        return checks[one_of(*checks)(value["type"], f"{param}.type")](value, param)

    return check
