"""What goes to and from a session, without a network; every event checked against OpenAI's own types."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.server.client import check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Wire:
    """A client that says what is in a script.

    Args:
        script: Events, and ``{"type": "wait for the reply"}`` or ``{"type": "wait a moment"}``. Where an id is
            ``newest``, it becomes that of the newest item or response.
    """

    def __init__(self, script: list[Any]) -> None:
        self.told: list[dict[str, Any]] = []
        self._script = script
        self._done = asyncio.Event()

    async def send(self, text: bytes) -> None:
        """Take an event."""
        await asyncio.sleep(0)  # as a socket may
        event = json.loads(text)
        check(event)
        self.told.append(event)
        if event["type"] == "response.done":
            self._done.set()

    async def messages(self) -> AsyncIterator[str]:
        """The script; what waits goes on when nothing more is under way."""
        for event in [*self._script, {"type": "wait for the reply"}]:
            if isinstance(event, dict) and event.get("type") == "wait for the reply":
                await self._replies()
            elif isinstance(event, dict) and event.get("type") == "wait a moment":
                await asyncio.sleep(0)
            else:
                yield json.dumps(self._named(event))

    async def _replies(self) -> None:
        while True:
            for _ in range(20):  # whatever is about to begin begins
                await asyncio.sleep(0)
            if not self.under_way():
                return
            self._done.clear()
            await self._done.wait()

    def under_way(self) -> set[str]:
        """Responses that have begun and not ended."""
        begun = {event["response"]["id"] for event in self.told if event["type"] == "response.created"}
        return begun - {event["response"]["id"] for event in self.told if event["type"] == "response.done"}

    def _named(self, event: Any) -> Any:
        if not isinstance(event, dict):
            return event
        items = [told["item"]["id"] for told in self.told if told["type"] == "conversation.item.added"]
        responses = [told["response"]["id"] for told in self.told if told["type"] == "response.created"]
        newest = {"item_id": items, "previous_item_id": items, "response_id": responses}
        return {
            name: newest[name][-1] if value == "newest" and newest.get(name) else value for name, value in event.items()
        }
