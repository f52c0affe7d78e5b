"""A tool of a server: what the model is told of it, and the check of its calls."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from jsonschema import SchemaError as InvalidSchema
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.talk.tools.tool import CallRefused, CheckedCall, decoded

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from mcp_types import Tool as ListedTool

    from rt_cli.talk.mcp.server_file import McpServer
    from rt_cli.talk.tools.run_tool import ToolResult

MAX_NAME_CHARS = 64
_MAX_DESCRIPTION_CHARS = 1024
"""Endpoints refuse longer ones."""
_MAX_MESSAGE_CHARS = 300
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_REFERENCES = ("$ref", "$dynamicRef")


class Caller(Protocol):
    """Calls tools of a server."""

    async def call(self, name: str, arguments: dict[str, Any], timeout_s: float) -> ToolResult:
        """Call a tool once. Cancellation tells the server.

        Args:
            name: As the server names it.
            arguments: Of the call.
            timeout_s: After which it fails.
        """
        ...


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a server, with the name that the endpoint takes."""

    name: str
    listed: ListedTool
    server: McpServer
    caller: Caller = field(repr=False)
    validator: Validator = field(repr=False)

    @property
    def timeout_s(self) -> float | None:
        """Longest call, seconds; None for the usual one."""
        return self.server.timeout_s

    @property
    def declaration(self) -> dict[str, object]:
        """The tool as the session object has it."""
        text = self.listed.description or self.listed.title or ""
        about = {"description": text[:_MAX_DESCRIPTION_CHARS]} if text else {}
        return {"type": "function", "name": self.name, **about, "parameters": dict(self.listed.input_schema)}

    def check(self, text: str) -> CheckedCall:
        """Check a call by the schema of the server.

        Raises:
            CallRefused: The schema does not allow the arguments.
        """
        arguments = decoded(text)
        try:
            problem = best_match(self.validator.iter_errors(arguments))
        except (Unresolvable, RecursionError):
            raise CallRefused("the schema of the tool cannot be checked") from None
        if problem is not None:
            raise CallRefused(f"{problem.json_path}: {problem.message}"[:_MAX_MESSAGE_CHARS])
        shown = (self.name, text or "{}")
        return CheckedCall(shown, self._is_confirmed, partial(self.caller.call, self.listed.name, arguments))

    @property
    def _is_confirmed(self) -> bool:
        if self.server.confirm != "destructive":
            return self.server.confirm == "always"
        about = self.listed.annotations
        return about is None or not (about.read_only_hint or about.destructive_hint is False)


def make_tools(server: McpServer, listed: list[ListedTool], caller: Caller) -> list[McpTool]:
    """Return the tools of a server that are offered.

    Raises:
        UsageError: A tool that the file names is not there, or one cannot be offered.
    """
    names = {tool.name for tool in listed}
    for name in server.tools or ():
        if name not in names:
            offered = ", ".join(sorted(printable(each) for each in names))[:_MAX_MESSAGE_CHARS]
            raise UsageError(f"{server.label} has no tool {printable(name)}", f"its tools are {offered or 'none'}")
    chosen = [tool for tool in listed if server.tools is None or tool.name in server.tools]
    return [_make(server, tool, caller) for tool in chosen]


def _make(server: McpServer, listed: ListedTool, caller: Caller) -> McpTool:
    where = f"the tool {printable(listed.name)[:MAX_NAME_CHARS]} of {server.label}"
    hint = f'name the tools to offer in "tools" of {printable(server.name)[:MAX_NAME_CHARS]}'
    name = server.prefix + _NOT_IN_NAMES.sub("_", listed.name)
    if not listed.name or len(name) > MAX_NAME_CHARS:
        raise UsageError(f"{where} has a name that no endpoint takes", hint)
    schema = listed.input_schema
    if schema.get("type") != "object":
        raise UsageError(f"the parameters of {where} are no object", hint)
    try:
        kind = validator_for(schema, default=Draft202012Validator)
        kind.check_schema(schema)
        # Without a registry of its own, a reference would be looked up in the network.
        validator = kind(schema, registry=Registry())
        _check_references(schema)
    except InvalidSchema as exc:
        raise UsageError(f"the parameters of {where}: {printable(exc.message)[:_MAX_MESSAGE_CHARS]}", hint) from None
    except (Unresolvable, RecursionError):
        raise UsageError(f"the parameters of {where} refer to what is not in them", hint) from None
    return McpTool(name, listed, server, caller, validator)


def _check_references(schema: dict[str, Any]) -> None:
    """Raise Unresolvable if a schema refers to another document, or to a place that it has not."""
    draft = specification_with(str(schema.get("$schema", "")), default=DRAFT202012)
    registry: Registry[Any] = Registry()
    resolver = registry.resolver_with_root(draft.create_resource(schema))
    left: list[Any] = [schema]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            for keyword in _REFERENCES:
                if isinstance(each.get(keyword), str):
                    resolver.lookup(each[keyword])
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
