"""JSON Schema, as far as tools need it: what is not checked here is refused at the start, not ignored. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sized

_MAX_DEPTH = 32
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_NOTES = {"title", "description", "default", "examples", "format", "$schema", "$id", "$comment"}
"""Keywords that say something and check nothing."""
_NUMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, limit: value >= limit,
    "maximum": lambda value, limit: value <= limit,
    "exclusiveMinimum": lambda value, limit: value > limit,
    "exclusiveMaximum": lambda value, limit: value < limit,
}
_LENGTHS: dict[str, tuple[type, Callable[[int, int], bool]]] = {
    "minLength": (str, lambda size, limit: size >= limit),
    "maxLength": (str, lambda size, limit: size <= limit),
    "minItems": (list, lambda size, limit: size >= limit),
    "maxItems": (list, lambda size, limit: size <= limit),
}


class SchemaError(ValueError):
    """A schema that is not valid, or a value that a schema does not allow."""


def check_schema(schema: object, path: str = "schema", depth: int = 0) -> None:
    """Check a schema.

    Raises:
        SchemaError: It is not valid, or has a keyword that is not checked.
    """
    if not isinstance(schema, dict):
        raise SchemaError(f"{path} is no object")
    if depth > _MAX_DEPTH:
        raise SchemaError(f"{path} is nested too deeply")
    for keyword, value in schema.items():
        where = f"{path}.{keyword}"
        if keyword in _KEYWORDS:
            _KEYWORDS[keyword](value, where, depth)
        elif keyword not in _NOTES | {"const"}:
            raise SchemaError(f"{where} is not checked by rt: leave it out")


def check_value(schema: Mapping[str, Any], value: Any, path: str) -> None:
    """Check a value by a schema of :func:`check_schema`.

    Raises:
        SchemaError: The schema does not allow it.
    """
    kinds = schema.get("type")
    if kinds is not None and not any(_TYPES[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        raise SchemaError(f"{path} is not of type {kinds}")
    if "enum" in schema and value not in schema["enum"]:
        raise SchemaError(f"{path} is none of the values that are allowed")
    if "const" in schema and value != schema["const"]:
        raise SchemaError(f"{path} is not the value that is allowed")
    _check_size(schema, value, path)
    if "anyOf" in schema and not any(_allows(inner, value) for inner in schema["anyOf"]):
        raise SchemaError(f"{path} fits none of its forms")
    if isinstance(value, dict):
        _check_members(schema, value, path)
    if isinstance(value, list) and "items" in schema:
        for index, inner in enumerate(value):
            check_value(schema["items"], inner, f"{path}[{index}]")


def _check_members(schema: Mapping[str, Any], value: Mapping[str, Any], path: str) -> None:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            raise SchemaError(f"{path} has no {name}")
    for name, inner in value.items():
        if name in properties:
            check_value(properties[name], inner, f"{path}.{name}")
        elif others is False:
            raise SchemaError(f"{path} may not have {name[:40]!r}")
        elif others is not True:
            check_value(others, inner, f"{path}.{name[:40]}")


def _check_size(schema: Mapping[str, Any], value: Any, path: str) -> None:
    if _TYPES["number"](value):
        for keyword, holds in _NUMBERS.items():
            if keyword in schema and not holds(value, schema[keyword]):
                raise SchemaError(f"{path} breaks {keyword} {schema[keyword]}")
    for keyword, (kind, fits) in _LENGTHS.items():
        if keyword in schema and isinstance(value, kind) and not fits(len(cast("Sized", value)), schema[keyword]):
            raise SchemaError(f"{path} breaks {keyword} {schema[keyword]}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        raise SchemaError(f"{path} does not match {schema['pattern']!r}")


def _allows(schema: Mapping[str, Any], value: Any) -> bool:
    try:
        check_value(schema, value, "")
    except SchemaError:
        return False
    return True


def _check_types(value: object, where: str, _depth: int) -> None:
    kinds = [value] if isinstance(value, str) else _list(value, where, 0)
    if not kinds or not all(isinstance(kind, str) and kind in _TYPES for kind in kinds):
        raise SchemaError(f"{where} is none of {', '.join(_TYPES)}")


def _check_properties(value: object, where: str, depth: int) -> None:
    if not isinstance(value, dict):
        raise SchemaError(f"{where} is no object")
    for name, inner in value.items():
        check_schema(inner, f"{where}.{name}", depth + 1)


def _check_inner(value: object, where: str, depth: int) -> None:
    check_schema(value, where, depth + 1)


def _check_others(value: object, where: str, depth: int) -> None:
    if not isinstance(value, bool):
        check_schema(value, where, depth + 1)


def _check_forms(value: object, where: str, depth: int) -> None:
    for index, inner in enumerate(_list(value, where, depth)):
        check_schema(inner, f"{where}[{index}]", depth + 1)


def _check_names(value: object, where: str, depth: int) -> None:
    if not all(isinstance(name, str) for name in _list(value, where, depth)):
        raise SchemaError(f"{where} is no list of names")


def _check_pattern(value: object, where: str, _depth: int) -> None:
    try:
        re.compile(value if isinstance(value, str) else "(")
    except re.error:
        raise SchemaError(f"{where} is no regular expression") from None


def _check_number(value: object, where: str, _depth: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SchemaError(f"{where} is no number")


def _list(value: object, where: str, _depth: int) -> list[Any]:
    if not isinstance(value, list):
        raise SchemaError(f"{where} is no list")
    return value


_KEYWORDS: dict[str, Callable[[object, str, int], object]] = {
    "type": _check_types,
    "properties": _check_properties,
    "items": _check_inner,
    "additionalProperties": _check_others,
    "anyOf": _check_forms,
    "required": _check_names,
    "enum": _list,
    "pattern": _check_pattern,
    **dict.fromkeys((*_NUMBERS, *_LENGTHS), _check_number),
}
