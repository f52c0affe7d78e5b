"""Replies from a real, small chat server, which may fail."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.server.replies import chat
from rt_cli.server.replies.chat import Deadlines, open_chat
from rt_cli.server.replies.interface import Call, Part, ReplyFailed, ReplyRequest, Text, Usage
from tests.fakes import run
from tests.server.chat_server import ChatServer, Exchange, chat_server
from tests.server.client import endpoint
from tests.server.replies.test_builtin import collect, spoken

pytest.importorskip("httpx", reason="the extra http is not installed")

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from rt_cli.server.replies.interface import Replier
    from tests.server.chat_server import Script

REQUEST = ReplyRequest([spoken("what is the time")], instructions="be brief")
SHORT = Deadlines(connect=5, first=0.3, next=0.3)


@asynccontextmanager
async def talking(
    script: Script, model: str | None = None, deadlines: Deadlines | None = None, key: str = ""
) -> AsyncIterator[tuple[ChatServer, Replier]]:
    """A server with a script, and a replier for it."""
    async with (
        chat_server(script) as server,
        open_chat(server.url, model, deadlines=deadlines, environ={"RT_LLM_API_KEY": key}) as replier,
    ):
        yield server, replier


def reply(script: Script, **options: Any) -> tuple[ChatServer, list[Part]]:
    """All parts of one reply."""

    async def ask() -> tuple[ChatServer, list[Part]]:
        async with talking(script, **options) as (server, replier):
            return server, await collect(replier.reply(REQUEST))

    return run(ask())


def failure(script: Script, **options: Any) -> str:
    """The message of a failed reply."""

    async def ask() -> str:
        async with talking(script, **options) as (_, replier):
            with pytest.raises(ReplyFailed) as caught:
                await collect(replier.reply(REQUEST))
            return str(caught.value)

    return run(ask())


async def ordinary(exchange: Exchange) -> None:
    """Text, a call, and usage."""
    await exchange.head()
    await exchange.chunk(b": a comment\n\n")
    await exchange.delta(role="assistant", content="It is ")
    await exchange.delta(content="\u00fcber five.")
    await exchange.delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "clock", "arguments": "{}"}}])
    await exchange.event({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    await exchange.event({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}})
    await exchange.event("[DONE]")
    await exchange.chunk(b"")


def test_a_whole_reply() -> None:
    """Text in pieces, the call complete, usage last; and the request."""
    server, parts = reply(ordinary, model="tiny", key=" secret \n")
    (exchange,) = server.seen

    assert parts == [Text("It is "), Text("\u00fcber five."), Call("c1", "clock", "{}"), Usage(11, 5)]
    assert exchange.path == "/v1/chat/completions"
    assert exchange.headers["authorization"] == "Bearer secret"
    assert exchange.body["model"] == "tiny"
    assert exchange.body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "what is the time"},
    ]


def test_no_key_is_sent_where_there_is_none() -> None:
    """Without key and model the request has neither."""
    server, _ = reply(ordinary)
    assert "authorization" not in server.seen[0].headers
    assert "model" not in server.seen[0].body


def test_text_is_streamed() -> None:
    """The first text comes before the server has finished."""

    async def scenario() -> None:
        heard = asyncio.Event()

        async def slow(exchange: Exchange) -> None:
            await exchange.head()
            await exchange.delta(content="First")
            await heard.wait()
            await exchange.delta(content=" second")
            await exchange.end()

        async with talking(slow) as (_, replier), aclosing(replier.reply(REQUEST)) as parts:
            assert await anext(parts) == Text("First")
            heard.set()
            assert await collect(parts) == [Text(" second")]

    run(scenario())


def test_bytes_may_come_one_by_one() -> None:
    """The stream may be split at any byte."""

    async def torn(exchange: Exchange) -> None:
        await exchange.head()
        for byte in b'data: {"choices":[{"delta":{"content":"\xc3\xbc"}}]}\r\n\r\ndata: [DONE]\r\n\r\n':
            await exchange.chunk(bytes([byte]))
        await exchange.chunk(b"")

    assert reply(torn)[1] == [Text("\u00fc")]


def test_a_server_that_does_not_stream() -> None:
    """A response that is not streamed is read as a whole."""

    async def whole(exchange: Exchange) -> None:
        body = '{"choices": [{"message": {"role": "assistant", "content": "All."}, "finish_reason": "stop"}]}'
        await exchange.whole("200 OK", body)

    assert reply(whole)[1] == [Text("All.")]


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_barge_in_closes_the_connection(how: str) -> None:
    """A closed reply closes the connection."""

    async def scenario() -> None:
        async def endless(exchange: Exchange) -> None:
            await exchange.head()
            await exchange.delta(content="Once upon a time")
            await exchange.gone()

        async with talking(endless) as (server, replier):
            parts = replier.reply(REQUEST)
            assert await anext(parts) == Text("Once upon a time")
            if how == "cancelled":
                waiting = asyncio.ensure_future(anext(parts))
                await asyncio.wait([waiting], timeout=0.05)
                waiting.cancel()
                await asyncio.wait([waiting])
                assert waiting.cancelled()
            await parts.aclose()
            await server.left.wait()

    run(scenario())


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        ("500 Internal Server Error", "<h1>Oops</h1>", "answered 500: <h1>Oops</h1>"),
        (
            "401 Unauthorized",
            '{"error": {"message": "Incorrect API key: sk-123456789"}}',
            "401: Incorrect API key: sk-",
        ),
        ("404 Not Found", '{"detail": "Not Found"}', "answered 404: Not Found"),
        ("307 Temporary Redirect", "", "answered 307"),
    ],
)
def test_error_responses(status: str, text: str, said: str) -> None:
    """The failure has the server's reason, without keys."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.whole(status, text or " ")

    told = failure(refuse)
    assert said in told
    assert told.isprintable()
    assert "123456789" not in told


def test_invalid_responses() -> None:
    """Several kinds of invalid responses are failures."""

    async def html(exchange: Exchange) -> None:
        await exchange.whole("200 OK", "<html>", "text/html")

    async def no_json(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event("{nonsense")
        await exchange.gone()

    async def no_http(exchange: Exchange) -> None:
        await exchange.raw(b"\x16\x03\x01 what?\r\n\r\n")

    async def endless_line(exchange: Exchange) -> None:
        await exchange.head()
        while True:
            await exchange.chunk(b"x" * 65_536)

    assert "no chat completion" in failure(html)
    assert "no chat completion" in failure(no_json)
    assert "broke off" in failure(no_http)
    assert "no chat completion" in failure(endless_line)


def test_incomplete_stream() -> None:
    """An incomplete stream is a failure after the text so far."""

    async def orderly(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.delta(content="Well")
        await exchange.chunk(b"")

    async def torn(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.delta(content="Well")

    assert "ended in the middle" in failure(orderly)
    assert "broke off" in failure(torn)


def test_timeouts() -> None:
    """Before the first event and between events; comments do not count."""

    async def silent(exchange: Exchange) -> None:
        await exchange.gone()

    async def stuck(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.delta(content="Well")
        await exchange.gone()

    async def only_alive(exchange: Exchange) -> None:
        await exchange.head()
        while True:
            await exchange.chunk(b": still here\n\n")
            await asyncio.sleep(0.01)

    for script in (silent, stuck, only_alive):
        assert "sent nothing for 0.3 s" in failure(script, deadlines=SHORT)


def test_unreachable_server() -> None:
    """The failure has the address."""

    async def scenario() -> None:
        async with chat_server(ordinary) as server:
            url = server.url
        async with open_chat(url, None, environ={}) as replier:
            with pytest.raises(ReplyFailed, match="cannot be reached") as caught:
                await collect(replier.reply(REQUEST))
            assert url.removeprefix("http://") in str(caught.value)

    run(scenario())


def test_the_next_reply_works_after_a_failure() -> None:
    """After a failure the next reply works."""

    async def scenario() -> None:
        failed = False

        async def once(exchange: Exchange) -> None:
            nonlocal failed
            if failed:
                await ordinary(exchange)
                return
            failed = True
            await exchange.whole("503 Service Unavailable", "loading")

        async with talking(once) as (_, replier):
            with pytest.raises(ReplyFailed, match="503: loading"):
                await collect(replier.reply(REQUEST))
            assert Text("It is ") in await collect(replier.reply(REQUEST))

    run(scenario())


async def empty_events(exchange: Exchange) -> None:
    """A stream that is alive for ever, and says nothing."""
    await exchange.head()
    while True:
        await exchange.delta(content="")
        await asyncio.sleep(0.001)


def test_a_stream_without_end_ends_in_time() -> None:
    """Events without text keep no reply alive beyond its deadline."""
    deadlines = Deadlines(whole=0.5)
    assert "did not finish its reply in 0.5 s" in failure(empty_events, deadlines=deadlines)


def test_a_stream_without_end_ends_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so do bytes, whatever they are."""
    monkeypatch.setattr(chat, "MAX_STREAM_BYTES", 1_048_576)

    async def comments(exchange: Exchange) -> None:
        await exchange.head()
        while True:
            await exchange.chunk(b": comment\n" * 6_000 + b'data: {"choices":[]}\n\n')

    assert "sent an answer longer than 1 MiB" in failure(comments)


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
def test_a_compressed_answer(status: str) -> None:
    """It is not read: it could be a thousand times larger than what was sent."""

    async def bomb(exchange: Exchange) -> None:
        body = gzip.compress(bytes(10_000_000))
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
        await exchange.raw(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    assert "compressed" in failure(bomb)


NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("nested", [NESTED, '{"error":' + NESTED + "}", '{"error":' + "[" * 950 + "]" * 950 + "}"])
def test_nested_answers(nested: str) -> None:
    """A tree that no decoder can read is no chat completion, and an error status keeps its meaning."""

    async def event(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event(nested)
        await exchange.gone()

    async def error(exchange: Exchange) -> None:
        await exchange.whole("500 Internal Server Error", nested)

    assert "the chat server at" in failure(event)
    assert "answered 500" in failure(error)


def test_a_session_survives_any_answer() -> None:
    """The response fails with the reason, and the session goes on."""

    async def nested(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event(NESTED)
        await exchange.gone()

    async def scenario() -> list[dict[str, Any]]:
        ends = []
        for script, deadlines in ((nested, None), (empty_events, Deadlines(whole=0.5))):
            async with talking(script, deadlines=deadlines) as (_, replier), endpoint("", replier=replier) as client:
                await client.converse(output_modalities=["text"])
                await client.send("response.create")
                ends.append((await client.until("response.done"))["response"])
                await client.barrier()
        return ends

    for response in run(scenario()):
        assert response["status"] == "failed"
        assert "the chat server at" in response["status_details"]["error"]["message"]


def test_a_reply_that_breaks() -> None:
    """A bug of a replier ends only its response, and is reported."""
    seen: list[dict[str, Any]] = []

    class Broken:
        needs_words = False
        notice = None

        async def reply(self, _request: ReplyRequest) -> AsyncGenerator[Part, None]:
            yield Text("It is ")
            raise ZeroDivisionError("planted")

    async def scenario() -> str:
        async with endpoint("", replier=Broken(), on_event=seen.append) as client:
            await client.send("response.create")
            done = await client.until("response.done")
            await client.barrier()
            return str(done["response"]["status"])

    assert run(scenario()) == "failed"
    assert [event["message"] for event in seen if event["type"] == "warning"] == [
        "a reply failed, which is a bug: ZeroDivisionError('planted')"
    ]
