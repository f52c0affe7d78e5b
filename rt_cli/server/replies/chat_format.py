"""Converts conversation items to chat messages, and the chat server's stream to parts of a reply. No I/O.

The API is OpenAI's ``/v1/chat/completions`` with ``stream``, which vLLM, llama.cpp, Ollama and others implement.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.url import is_loopback
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.server.replies.interface import Call, Part, ReplyFailed, ReplyRequest, Text, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

UNINTELLIGIBLE = "(unintelligible)"
"""Replaces a user message without text: chat servers refuse an empty message."""
NO_RESULT = "(no result)"
"""Replaces the missing result of a call: chat servers refuse a call without result."""
MAX_REPLY = 100_000
"""Most characters of a reply with its calls; stops a model that writes without end."""
_MAX_ERROR = 10_000
_MOST_TOKENS = 2**48
_DONE = "[DONE]"


def chat_url(text: str, *, with_key: bool) -> str:
    """Build the URL for chat completions.

    Args:
        text: URL with or without ``/v1`` or ``/chat/completions``; ``/chat/completions`` is appended to other paths.
        with_key: A key is sent to this URL.

    Raises:
        UsageError: Invalid URL, or the key would be sent unencrypted.
    """
    example = "write it like http://localhost:8080/v1"
    try:
        parts = urlsplit(text.strip())
        host = parts.hostname
        port_is_read = parts.port is None or parts.port > 0
    except ValueError:
        host, port_is_read = None, False
    if not host or not port_is_read or not text.isprintable() or " " in text.strip():
        raise UsageError("--llm is no URL", example)
    if parts.scheme not in {"http", "https"}:
        raise UsageError(f"--llm has the scheme {printable(parts.scheme)!r}", example)
    if parts.username is not None or parts.fragment:
        raise UsageError("--llm takes no user, password or fragment", "a key goes into RT_LLM_API_KEY")
    if with_key and parts.scheme == "http" and not is_loopback(host):
        raise UsageError("RT_LLM_API_KEY would travel unencrypted", "use https, or unset it")
    path = parts.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path = f"{path or '/v1'}/chat/completions"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def completion_request(request: ReplyRequest, model: str | None) -> dict[str, Any]:
    """Build the body of the HTTP request."""
    tools = [_tool(tool) for tool in request.tools if tool.get("type") == "function"]
    optional = {
        "model": model,
        "tools": tools or None,
        "tool_choice": _tool_choice(request.tool_choice) if tools else None,
        "max_tokens": request.max_output_tokens,
    }
    return {
        "messages": messages(request),
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: value for name, value in optional.items() if value is not None},
    }


def messages(request: ReplyRequest) -> list[dict[str, Any]]:
    """Convert the conversation to chat messages.

    Consecutive calls become one message, as the model created them. Their results follow directly, no matter where
    the client has inserted them. Other item types are left out.
    """
    results = {item.get("call_id"): item.get("output") for item in request.items if _is(item, "function_call_output")}
    result: list[dict[str, Any]] = []
    if request.instructions:
        result.append({"role": "system", "content": request.instructions})
    calls: list[dict[str, Any]] = []
    for item in request.items:
        if _is(item, "function_call"):
            calls.append(_call(item))
        elif _is(item, "message") and not _is_empty_reply(item):
            result += _call_messages(calls, results)
            calls = []
            result.append(_message(item))
    return result + list(_call_messages(calls, results))


def _call_messages(calls: list[dict[str, Any]], results: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    if calls:
        yield {"role": "assistant", "content": None, "tool_calls": calls}
    for call in calls:
        yield {"role": "tool", "tool_call_id": call["id"], "content": results.get(call["id"]) or NO_RESULT}


def _is_empty_reply(item: Mapping[str, Any]) -> bool:
    """True for a message of the assistant without a word; chat servers refuse an empty message."""
    return item.get("role") == "assistant" and not _message(item)["content"]


def _is(item: Mapping[str, Any], type_: str) -> bool:
    return item.get("type") == type_


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments") or "{}"}
    return {"id": item.get("call_id"), "type": "function", "function": function}


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    role = item.get("role")
    parts: Sequence[Mapping[str, Any]] = item.get("content") or ()
    text = " ".join(words for part in parts if (words := part.get("text") or part.get("transcript")))
    images = [{"type": "image_url", "image_url": {"url": part["image_url"]}} for part in parts if part.get("image_url")]
    if images:
        return {"role": role, "content": [*([{"type": "text", "text": text}] if text else []), *images]}
    return {"role": role, "content": text or (UNINTELLIGIBLE if role == "user" else "")}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("name", "description", "parameters")
    return {"type": "function", "function": {key: tool[key] for key in fields if tool.get(key) is not None}}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice if isinstance(choice, str) else None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _CallDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_CallDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    """Replaces ``delta`` in a response that is not streamed."""
    finish_reason: str | None = None


class _TokenCounts(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _TokenCounts | None = None
    error: Any = None


class Completion:
    """Collects a streamed reply.

    Args:
        host: Host of the chat server, for error messages.
    """

    def __init__(self, host: str) -> None:
        self._server = f"the chat server at {host}"
        self._calls: list[dict[str, str]] = []
        self._places: dict[int, int] = {}
        """Maps the server's index of a call to the position in ``_calls``."""
        self._usage: _TokenCounts | None = None
        self._size = 0
        self._reason: str | None = None
        self.done = False
        """True after the end of the stream."""

    def take(self, data: str) -> list[Part]:
        """Process the data of an event; returns its text.

        Raises:
            ReplyFailed: The event is an error, or not a chat completion.
        """
        if data.strip() == _DONE:
            self.done = True
            return []
        try:
            chunk = msgspec.json.decode(data, type=_Chunk)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as exc:
            raise ReplyFailed(f"{self._server} sent what is no chat completion") from exc
        if chunk.error:
            raise ReplyFailed(f"{self._server} failed: {error_text(chunk.error)}")
        self._usage = chunk.usage or self._usage
        return [Text(text) for choice in (chunk.choices or [])[:1] if (text := self._choice(choice))]

    def finish(self) -> list[Part]:
        """Return calls and usage after the end of the stream.

        Raises:
            ReplyFailed: The stream is incomplete.
        """
        if not self.done and self._reason is None:
            raise ReplyFailed(f"{self._server} ended in the middle of a reply")
        if not all(call["name"] for call in self._calls):
            raise ReplyFailed(f"{self._server} called a function without a name")
        parts: list[Part] = [
            Call(call["id"] or f"call_{secrets.token_hex(10)}", call["name"], call["arguments"] or "{}")
            for call in self._calls
        ]
        truncated = self._reason == "length"
        if self._usage is not None or truncated:
            counts = self._usage or _TokenCounts()
            parts.append(Usage(_count(counts.prompt_tokens), _count(counts.completion_tokens), truncated))
        return parts

    def _choice(self, choice: _Choice) -> str:
        self._reason = choice.finish_reason or self._reason
        delta = choice.delta or choice.message or _Delta()
        for call in delta.tool_calls or []:
            self._call(call)
        text = delta.content or ""
        self._grow(len(text))
        return text

    def _call(self, delta: _CallDelta) -> None:
        function = delta.function or _Function()
        call = self._calls[self._place(delta)]
        call["id"] = delta.id or call["id"]
        call["name"] += function.name or ""
        call["arguments"] += function.arguments or ""
        self._grow(1 + len(function.name or "") + len(function.arguments or ""))

    def _place(self, delta: _CallDelta) -> int:
        """Position of a call in ``_calls``. Some servers send no index; there, each new id starts a call."""
        place = len(self._calls)
        if delta.index is not None:
            place = self._places.setdefault(delta.index, place)
        elif not delta.id and self._calls:
            return place - 1
        if place == len(self._calls):
            self._calls.append({"id": "", "name": "", "arguments": ""})
        return place

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > MAX_REPLY:
            raise ReplyFailed(f"{self._server} wrote more than {MAX_REPLY} characters")


def error_text(error: Any) -> str:
    """The message of a server's error object of any shape, safe to show to people."""
    while isinstance(error, dict):
        error = error.get("error") or error.get("message") or error.get("detail") or "no reason given"
    try:
        text = str(error)
    except (RecursionError, ValueError):  # a list of lists of lists, or a number of thousands of digits
        text = "a reason that cannot be read"
    return masked(printable(" ".join(text[:_MAX_ERROR].split())))[:200]


def _count(tokens: int) -> int:
    """A server's count of tokens within the range that JSON can carry."""
    return min(max(tokens, 0), _MOST_TOKENS)
