"""Replier that streams text from an OpenAI-compatible chat server."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.url import is_loopback
from rt_cli.server.http_body import AnswerTooLong, limited_chunks
from rt_cli.server.replies.chat_format import Completion, chat_url, completion_request, error_text
from rt_cli.server.replies.interface import Part, ReplyFailed, ReplyRequest
from rt_cli.server.sse import EventStream, EventTooLong

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    import httpx

    from rt_cli.server.replies.interface import Replier

KEY = "RT_LLM_API_KEY"
_MAX_ERROR_BYTES = 65_536
"""Most bytes read of an error response."""
_AT_ONCE = 64
"""Most concurrent requests. Further requests wait; the wait counts for their deadline."""
_MAX_BODY_BYTES = 1_048_576
"""Most bytes read of a response that is not streamed."""
MAX_STREAM_BYTES = 64 * 1_048_576
"""Most bytes read of a streamed response: a reply of the longest length, in events of one character each."""
_OK = 200


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Deadlines in seconds."""

    connect: float = 5.0
    first: float = 60.0
    """From the request to the first event; the server may have to load a model."""
    next: float = 20.0
    """Between two events; keepalive comments are not events."""
    whole: float = 600.0
    """From the request to the end of the reply: a stream of events without text has no other end."""


@asynccontextmanager
async def open_chat(
    url: str,
    model: str | None,
    *,
    deadlines: Deadlines | None = None,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[Replier]:
    """Open a chat server as replier; its connections end with the block.

    Args:
        url: See :func:`rt_cli.server.replies.chat_format.chat_url`.
        model: Model name; None: the server's default.
        deadlines: None: the default deadlines.
        environ: Environment with the optional key ``RT_LLM_API_KEY``.

    Raises:
        UsageError: The URL or key is invalid, or httpx is not installed.
    """
    key = environ.get(KEY, "").strip()
    target = chat_url(url, with_key=bool(key))
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"{KEY} is no key", "it has characters that no HTTP header may have")
    if importlib.util.find_spec("httpx") is None:
        raise UsageError("--llm needs httpx", "pip install 'rt-cli[http]'")
    import httpx

    deadlines = deadlines or Deadlines()
    host = urlsplit(target).hostname or ""
    async with httpx.AsyncClient(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(None, connect=deadlines.connect),
        limits=httpx.Limits(max_connections=_AT_ONCE),
        trust_env=not is_loopback(host),  # a proxy cannot reach loopback
    ) as client:
        yield ChatReplier(client, target, model, deadlines)


class ChatReplier:
    """Streams replies from a chat server.

    Args:
        client: HTTP client with the key, for all requests.
        url: URL for chat completions.
        model: Model name; None: the server's default.
        deadlines: Deadlines of each request.
    """

    needs_words = True
    notice = None

    def __init__(self, client: httpx.AsyncClient, url: str, model: str | None, deadlines: Deadlines) -> None:
        self._client = client
        self._url = url
        self._host = urlsplit(url).netloc
        self._model = model
        self._deadlines = deadlines

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[Part, None]:
        """Yield text as it arrives, then calls, then usage. Closing or cancellation closes the connection at once."""
        completion = Completion(self._host)
        body = msgspec.json.encode(completion_request(request, self._model))
        end = asyncio.get_running_loop().time() + self._deadlines.whole
        async with aclosing(self._events(body)) as events:
            timeout_s = self._deadlines.first
            while not completion.done and (data := await self._next(events, timeout_s, end)) is not None:
                timeout_s = self._deadlines.next
                for part in completion.take(data):
                    yield part
        for part in completion.finish():
            yield part

    async def _next(self, events: AsyncGenerator[str, None], timeout_s: float, end: float) -> str | None:
        """Data of the next event; None at the end. Any failure of the server becomes ReplyFailed.

        Args:
            events: The events of the reply.
            timeout_s: Longest wait.
            end: Time of the loop at which the reply must be complete.
        """
        import httpx

        server = f"the chat server at {self._host}"
        left_s = max(0.0, end - asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(min(timeout_s, left_s)):
                return await anext(events, None)
        except TimeoutError:
            if left_s <= timeout_s:
                raise ReplyFailed(f"{server} did not finish its reply in {self._deadlines.whole:g} s") from None
            raise ReplyFailed(f"{server} sent nothing for {timeout_s:g} s") from None
        except EventTooLong:
            raise ReplyFailed(f"{server} sent what is no chat completion") from None
        except AnswerTooLong as too_long:
            raise ReplyFailed(f"{server} sent {too_long}") from None
        except httpx.ConnectTimeout:
            raise ReplyFailed(f"{server} cannot be reached: no answer for {self._deadlines.connect:g} s") from None
        except httpx.ConnectError as exc:
            raise ReplyFailed(f"{server} cannot be reached: {error_text(str(exc))}") from exc
        except httpx.HTTPError as exc:
            raise ReplyFailed(f"{server} broke off: {error_text(str(exc) or type(exc).__name__)}") from exc

    async def _events(self, body: bytes) -> AsyncGenerator[str, None]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
        }
        async with self._client.stream("POST", self._url, content=body, headers=headers) as response:
            if response.status_code != _OK:
                raise await self._refusal(response)
            if "text/event-stream" not in response.headers.get("content-type", ""):
                yield (await _read(response, _MAX_BODY_BYTES)).decode(errors="replace")
                return
            stream = EventStream()
            async with aclosing(limited_chunks(response, MAX_STREAM_BYTES)) as chunks:
                async for chunk in chunks:
                    for data in stream.push(chunk):
                        yield data

    async def _refusal(self, response: httpx.Response) -> ReplyFailed:
        text = (await _read(response, _MAX_ERROR_BYTES)).decode(errors="replace")
        try:
            error: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            error = text
        return ReplyFailed(f"the chat server at {self._host} answered {response.status_code}: {error_text(error)}")


async def _read(response: httpx.Response, limit: int) -> bytes:
    """Read a body up to ``limit`` bytes; the rest is left out."""
    body = bytearray()
    async with aclosing(limited_chunks(response, None)) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) >= limit:
                break
    return bytes(body[:limit])
