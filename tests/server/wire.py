"""Messages to and from a session without a network; every event validated by OpenAI's own types."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.server.client import check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Wire:
    """A client with a scripted list of events.

    Args:
        script: Events, and ``{"type": "wait for the reply"}`` or ``{"type": "wait a moment"}``. Where an id is
            ``newest``, it becomes that of the newest item or response.
    """

    def __init__(self, script: list[Any]) -> None:
        self.events: list[dict[str, Any]] = []
        self._script = script
        self._done = asyncio.Event()

    async def send(self, text: bytes) -> None:
        """Receive an event of the session."""
        await asyncio.sleep(0)  # a socket may also switch tasks here
        event = json.loads(text)
        check(event)
        self.events.append(event)
        if event["type"] == "response.done":
            self._done.set()

    async def messages(self) -> AsyncIterator[str]:
        """The events of the script; a wait ends when no response is active."""
        for event in [*self._script, {"type": "wait for the reply"}]:
            if isinstance(event, dict) and event.get("type") == "wait for the reply":
                await self._replies()
            elif isinstance(event, dict) and event.get("type") == "wait a moment":
                await asyncio.sleep(0)
            else:
                yield json.dumps(self._named(event))

    async def _replies(self) -> None:
        while True:
            for _ in range(20):  # let pending tasks start
                await asyncio.sleep(0)
            if not self.active_responses():
                return
            self._done.clear()
            await self._done.wait()

    def active_responses(self) -> set[str]:
        """Ids of the active responses."""
        created = {event["response"]["id"] for event in self.events if event["type"] == "response.created"}
        return created - {event["response"]["id"] for event in self.events if event["type"] == "response.done"}

    def _named(self, event: Any) -> Any:
        if not isinstance(event, dict):
            return event
        items = [sent["item"]["id"] for sent in self.events if sent["type"] == "conversation.item.added"]
        responses = [sent["response"]["id"] for sent in self.events if sent["type"] == "response.created"]
        newest = {"item_id": items, "previous_item_id": items, "response_id": responses}
        return {
            name: newest[name][-1] if value == "newest" and newest.get(name) else value for name, value in event.items()
        }
