"""Bodies of HTTP answers of other servers, read within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import httpx


class AnswerTooLong(Exception):
    """The answer is longer than the limit, or compressed; the message is the object of "it sent ..."."""


async def limited_chunks(answer: httpx.Response, limit: int | None) -> AsyncGenerator[bytes, None]:
    """Yield the body in chunks. A request for this must have ``Accept-Encoding: identity``.

    Args:
        answer: The answer, opened as a stream.
        limit: Most bytes; None: the caller stops.

    Raises:
        AnswerTooLong: Beyond the limit; or compressed, because a kilobyte could become a gigabyte.
    """
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise AnswerTooLong("a compressed answer, which was not asked for")
    size = 0
    async for chunk in answer.aiter_raw():
        size += len(chunk)
        if limit is not None and size > limit:
            raise AnswerTooLong(f"an answer longer than {limit >> 20} MiB")
        yield chunk
