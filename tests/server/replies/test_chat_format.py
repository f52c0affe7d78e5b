"""Conversion of items to chat messages, and of the stream to parts."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable
from rt_cli.server.replies.chat_format import (
    MAX_REPLY,
    NO_RESULT,
    UNINTELLIGIBLE,
    Completion,
    chat_url,
    completion_request,
    error_text,
    messages,
)
from rt_cli.server.replies.interface import Call, Part, ReplyFailed, ReplyRequest, Text, Usage
from tests.server.replies.test_builtin import spoken, written


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8080", "http://localhost:8080/v1/chat/completions"),
        ("http://localhost:8080/", "http://localhost:8080/v1/chat/completions"),
        ("http://localhost:8080/v1", "http://localhost:8080/v1/chat/completions"),
        ("https://x.example/api/v1/", "https://x.example/api/v1/chat/completions"),
        ("https://x.example/v1beta/openai", "https://x.example/v1beta/openai/chat/completions"),
        ("https://x.example/v1/chat/completions", "https://x.example/v1/chat/completions"),
        ("https://x.example/deploy?version=1", "https://x.example/deploy/chat/completions?version=1"),
        ("http://[::1]:9/v1", "http://[::1]:9/v1/chat/completions"),
    ],
)
def test_urls_are_completed(text: str, url: str) -> None:
    """With or without the path of the API."""
    assert chat_url(text, with_key=False) == url


@pytest.mark.parametrize(
    "text",
    [
        *("", "localhost", "localhost:8080", "ws://localhost", "http://", "http://h:0", "http://h:99999", "http://h:x"),
        *("http://[::1", "http://u:p@h", "http://h/#f", "http://a b", "http://h/\x1b[31m"),
    ],
)
def test_bad_urls_are_refused(text: str) -> None:
    """One line that names the option."""
    with pytest.raises(UsageError, match="--llm") as caught:
        chat_url(text, with_key=False)
    assert str(caught.value).isprintable()


def test_key_needs_https() -> None:
    """A key needs https, except on loopback."""
    assert chat_url("http://127.0.0.1/v1", with_key=True)
    assert chat_url("https://far.example/v1", with_key=True)
    with pytest.raises(UsageError, match="unencrypted"):
        chat_url("http://far.example/v1", with_key=True)


def call(call_id: str) -> dict[str, Any]:
    """A function call of the model."""
    return {"type": "function_call", "call_id": call_id, "name": "look", "arguments": '{"a":1}'}


def result(call_id: str, output: str) -> dict[str, Any]:
    """The client's result of a call."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def call_message(*call_ids: str) -> dict[str, Any]:
    """The chat message for calls."""
    function = {"name": "look", "arguments": '{"a":1}'}
    calls = [{"id": call_id, "type": "function", "function": function} for call_id in call_ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result_message(call_id: str, output: str) -> dict[str, Any]:
    """The chat message for a result."""
    return {"role": "tool", "tool_call_id": call_id, "content": output}


@pytest.mark.parametrize(
    ("items", "said"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([spoken("hello")], [{"role": "user", "content": "hello"}], id="spoken"),
        pytest.param([spoken(None)], [{"role": "user", "content": UNINTELLIGIBLE}], id="no words"),
        pytest.param(
            [written("system", "s"), written("user", "u"), written("assistant", "a")],
            [{"role": role, "content": role[0]} for role in ("system", "user", "assistant")],
            id="roles",
        ),
        pytest.param(
            [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_audio", "transcript": "said"}],
                }
            ],
            [{"role": "assistant", "content": "said"}],
            id="spoken reply",
        ),
        pytest.param(
            [
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "what is it"},
                        {"type": "input_image", "image_url": "data:image/png;base64,AA"},
                    ],
                }
            ],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what is it"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                    ],
                }
            ],
            id="image",
        ),
        pytest.param([call("1"), result("1", "r")], [call_message("1"), result_message("1", "r")], id="call"),
        pytest.param(
            [call("1"), call("2"), result("2", "b"), result("1", "a")],
            [call_message("1", "2"), result_message("1", "a"), result_message("2", "b")],
            id="calls at once",
        ),
        pytest.param(
            [call("1"), written("user", "u"), result("1", "late")],
            [call_message("1"), result_message("1", "late"), {"role": "user", "content": "u"}],
            id="late result",
        ),
        pytest.param([call("1")], [call_message("1"), result_message("1", NO_RESULT)], id="no result"),
        pytest.param([result("1", "lost"), {"type": "mcp_call"}], [], id="not for a chat"),
    ],
)
def test_items_become_messages(items: list[dict[str, Any]], said: list[dict[str, Any]]) -> None:
    """The order is one that chat servers accept."""
    assert messages(ReplyRequest(items)) == said
    assert messages(ReplyRequest(items, instructions="i")) == [{"role": "system", "content": "i"}, *said]


def test_tools_pass_through() -> None:
    """Tools in the chat format; tool_choice only with tools."""
    parameters = {"type": "object", "properties": {}}
    tools = [{"type": "function", "name": "f", "description": "d", "parameters": parameters}, {"type": "mcp"}]
    body = completion_request(
        ReplyRequest(tools=tools, tool_choice={"type": "function", "name": "f"}, max_output_tokens=7), "m"
    )

    assert body["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": parameters}}
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert (body["model"], body["max_tokens"], body["stream"]) == ("m", 7, True)
    assert completion_request(ReplyRequest(tools=tools, tool_choice="required"), None)["tool_choice"] == "required"
    assert completion_request(ReplyRequest(), None).keys() == {"messages", "stream", "stream_options"}


def chunk(reason: str | None = None, **delta: Any) -> str:
    """The data of an event."""
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def piece(arguments: str | None = None, **fields: Any) -> str:
    """The data of an event with part of a call."""
    function = {key: fields.pop(key) for key in ("name",) if key in fields}
    return chunk(tool_calls=[{**fields, "function": {**function, "arguments": arguments}}])


@pytest.mark.parametrize(
    ("events", "parts"),
    [
        pytest.param([chunk(role="assistant", content=""), chunk(content="Hi"), "[DONE]"], [Text("Hi")], id="text"),
        pytest.param([chunk(content="Hi"), chunk("stop")], [Text("Hi")], id="reason in the place of DONE"),
        pytest.param(
            [chunk("length", content="Hi"), "[DONE]"], [Text("Hi"), Usage(0, 0, truncated=True)], id="cut short"
        ),
        pytest.param(
            [chunk("stop", content="Hi"), '{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}'],
            [Text("Hi"), Usage(3, 1)],
            id="usage",
        ),
        pytest.param(
            ['{"choices": [{"message": {"content": "Whole"}, "finish_reason": "stop"}]}'], [Text("Whole")], id="whole"
        ),
        pytest.param(
            [piece("", index=0, id="c1", name="f"), piece('{"a"', index=0), piece(":1}", index=0), "[DONE]"],
            [Call("c1", "f", '{"a":1}')],
            id="call in pieces",
        ),
        pytest.param(
            [
                *(piece("{", index=0, id="c1", name="f"), piece("[]", index=1, id="c2", name="g")),
                *(piece("}", index=0), chunk("tool_calls")),
            ],
            [Call("c1", "f", "{}"), Call("c2", "g", "[]")],
            id="calls interleaved",
        ),
        pytest.param(
            [piece("{}", id="c1", name="f"), piece("{", id="c2", name="f"), piece("}"), "[DONE]"],
            [Call("c1", "f", "{}"), Call("c2", "f", "{}")],
            id="calls without index",
        ),
        pytest.param([piece(None, index=0, id="c", name="f"), "[DONE]"], [Call("c", "f", "{}")], id="no arguments"),
    ],
)
def test_events_become_parts(events: list[str], parts: list[Any]) -> None:
    """Text at once; calls and usage at the end."""
    completion = Completion("h")
    assert [part for event in events for part in completion.take(event)] + completion.finish() == parts


def test_a_call_without_an_id_gets_one() -> None:
    """A call without id gets a new id."""
    completion = Completion("h")
    completion.take(piece("{}", index=0, name="f"))
    completion.take("[DONE]")
    (made,) = completion.finish()
    assert isinstance(made, Call)
    assert made.call_id.startswith("call_")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ('{"error": {"message": "no such model", "code": 404}}', "failed: no such model"),
        ('{"error": "out of memory"}', "failed: out of memory"),
        ("<html>", "no chat completion"),
        ("[]", "no chat completion"),
        ('{"choices": 3}', "no chat completion"),
        ('{"choices": [{"delta": {"content": 3}}]}', "no chat completion"),
        (chunk(content="x" * (MAX_REPLY + 1)), "more than"),
    ],
)
def test_invalid_data_fails(event: str, said: str) -> None:
    """The message names the server."""
    with pytest.raises(ReplyFailed, match=said) as caught:
        Completion("box:80").take(event)
    assert "the chat server at box:80" in str(caught.value)


def test_incomplete_stream_fails() -> None:
    """A stream without finish reason and without ``[DONE]`` fails."""
    completion = Completion("h")
    completion.take(chunk(content="Well, "))
    with pytest.raises(ReplyFailed, match="in the middle"):
        completion.finish()


def test_a_call_without_a_name_fails() -> None:
    """A call without function name fails."""
    completion = Completion("h")
    completion.take(piece("{}", index=0, id="c"))
    completion.take("[DONE]")
    with pytest.raises(ReplyFailed, match="without a name"):
        completion.finish()


def test_many_small_calls_are_limited() -> None:
    """Empty pieces count for the limit, too."""
    completion = Completion("h")
    calls = [{"index": index} for index in range(MAX_REPLY + 1)]
    with pytest.raises(ReplyFailed, match="more than"):
        completion.take(chunk(tool_calls=calls))


NAMES = ("choices", "delta", "message", "content", "tool_calls", "index", "function", "name", "arguments", "usage")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**30),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from((*NAMES, "error", "prompt_tokens", "id")), inner),
).map(json.dumps)
NESTED = st.builds(
    lambda head, depth, tree: head + tree[0] * depth + "0" + tree[1] * depth + "}" * head.count("{"),
    st.sampled_from(["", '{"error":', '{"choices":', '{"choices":[{"delta":{"content":', '{"x":']),
    st.integers(1, 3_000),
    st.sampled_from([("[", "]"), ('{"error":', "}")]),
)
SHAPED = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"delta": st.fixed_dictionaries({"content": st.text()})}), max_size=2)},
    optional={"usage": st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), st.integers())},
).map(json.dumps)


@given(datas=st.lists(st.text() | JSON | NESTED | SHAPED | st.just("[DONE]"), max_size=4))
def test_any_data(datas: list[str]) -> None:
    """Any data is text and, at the end, what JSON can carry; or raises ReplyFailed."""
    parts: list[Part] = []
    completion = Completion("h")
    with suppress(ReplyFailed):
        for data in datas:
            parts += completion.take(data)
        parts += completion.finish()
    for part in parts:
        assert isinstance(part, Text | Usage | Call)
        assert not isinstance(part, Usage) or 0 <= part.input_tokens + part.output_tokens < 2**53


@given(
    error=st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "detail"]), inner),
    )
)
@example(error=10**5_000)
def test_any_error_has_a_text(error: Any) -> None:
    """A short, printable line."""
    said = error_text(error)
    assert printable(said) == said
    assert len(said) <= 200


def test_a_nested_error_has_a_text() -> None:
    """Also one that Python cannot print."""
    error: Any = []
    for _ in range(100_000):
        error = [error]
    assert error_text({"message": error}) == "a reason that cannot be read"


def test_an_empty_reply_is_left_out() -> None:
    """Chat servers refuse an empty message."""
    empty = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ""}]}
    assert messages(ReplyRequest([written("user", "hello"), empty])) == messages(
        ReplyRequest([written("user", "hello")])
    )


def test_error_text_is_printable() -> None:
    """One line, without terminal controls and keys, of limited length."""
    said = error_text({"error": {"message": "bad\nkey \x1b[31msk-abcdef123456" + "x" * 999}})
    assert said.isprintable()
    assert "abcdef" not in said
    assert len(said) <= 200
    assert error_text({"error": {}}) == "no reason given"
