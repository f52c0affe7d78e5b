"""Calls of the tools that the user names, in place of a model that decides. Pure.

``weather city Prague`` and ``weather {"city": "Prague"}`` call ``weather``. Tools and properties are named by the
words of their names, in any case: ``get_weather`` and ``getWeather`` by "get weather". Every name is one call:
"weather city Prague weather city Brno" are two.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from rt_cli.server.replies.interface import Call, is_by_user, last_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rt_cli.server.replies.interface import ReplyRequest

MOST_CALLS = 16
"""Calls in one reply; further names are ignored."""
_SEARCHED = 2_048
"""Characters of the user's message in which names are looked for."""
_MOST_PROPERTIES = 64
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\WA-Za-z_]+")
_JSON = re.compile(r"[\s:(]*(?=\{)")
_TYPES: Mapping[object, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,)}


def named_calls(request: ReplyRequest) -> list[Call]:
    """Return the calls that the user's last message asks for, in the order of the names.

    Empty if ``tool_choice`` is ``none``, if no tool is named, or once this message has led to calls. With ``required``,
    or a function, that function (or the first) is called even if it is not named.
    """
    tools = {str(tool["name"]): tool for tool in request.tools if tool.get("type") == "function"}
    choice = request.tool_choice
    if isinstance(choice, dict):
        tools = {name: tool for name, tool in tools.items() if name == choice.get("name")}
    if not tools or choice == "none" or _calls_since(request.items):
        return []
    text = last_words(request.items)
    calls = [_call(name, arguments) for name, arguments in _named(text, tools)]
    if not calls and choice != "auto":
        name, tool = next(iter(tools.items()))
        calls = [_call(name, _arguments(text[:_SEARCHED], tool))]
    return calls


def outputs(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Outputs of the calls that the user's last message has led to, in the order of the items."""
    calls = _calls_since(items)
    return [
        str(item.get("output"))
        for item in items
        if item.get("type") == "function_call_output" and item.get("call_id") in calls
    ]


def _calls_since(items: Sequence[Mapping[str, Any]]) -> set[object]:
    """Ids of the calls after the user's last message."""
    by_user = [index for index, item in enumerate(items) if is_by_user(item)]
    later = items[by_user[-1] + 1 :] if by_user else items
    return {item.get("call_id") for item in later if item.get("type") == "function_call"}


def _call(name: str, arguments: str) -> Call:
    return Call(f"call_{secrets.token_hex(8)}", name, arguments)


def _named(text: str, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The tools that are named in a text, each with its arguments as JSON text."""
    names = _Names(tools)
    found = names.search(text, 0)
    for _ in range(MOST_CALLS):
        if found is None:
            return
        name, _, end = found
        literal = _JSON.match(text, end)
        if literal:
            end = _json_end(text, literal.end())
            found = names.search(text, end)
            yield name, text[literal.end() : end]
        else:
            found = names.search(text, end)
            yield name, _arguments(text[end : found[1] if found else _SEARCHED], tools[name])


def _json_end(text: str, start: int) -> int:
    """End of the JSON object at ``start``; the end of the text if it is none: models, too, write broken arguments."""
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return len(text)


def _arguments(text: str, tool: Mapping[str, Any]) -> str:
    """Arguments from named properties, each followed by its value up to the next one."""
    parameters = tool.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    if not isinstance(properties, dict):
        return "{}"
    names = _Names(list(properties)[:_MOST_PROPERTIES])
    arguments = {}
    found = names.search(text, 0)
    while found is not None:
        name, _, end = found
        found = names.search(text, end)
        value = text[end : found[1] if found else len(text)].strip(" \t\r\n=:,;.!?\"'")
        if value:
            arguments[name] = _value(value, properties[name])
    return json.dumps(arguments, ensure_ascii=False)


def _value(text: str, schema: object) -> object:
    """The value of a property in the type of its schema; the text itself if that is another type, or none."""
    types = _TYPES.get(schema.get("type")) if isinstance(schema, dict) and isinstance(schema.get("type"), str) else None
    if types is None:
        return text
    try:
        value = msgspec.json.decode(text.lower())
    except (msgspec.DecodeError, RecursionError):
        return text
    return value if type(value) in types else text


class _Names:
    """Finds names of the schema in what the user says."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names, key=len, reverse=True)  # the longest name of several at one place
        patterns = (r"[\s_-]*".join(map(re.escape, _WORD.findall(name) or [name])) for name in self._names)
        self._pattern = re.compile("|".join(rf"(?<!\w)({each})(?!\w)" for each in patterns), re.IGNORECASE)

    def search(self, text: str, start: int) -> tuple[str, int, int] | None:
        """Return the next name from ``start`` on, its start and its end; None: there is none."""
        found = self._pattern.search(text, start, max(start, _SEARCHED)) if self._names else None
        if found is None or found.lastindex is None or not found[0]:
            return None
        return self._names[found.lastindex - 1], found.start(), found.end()
