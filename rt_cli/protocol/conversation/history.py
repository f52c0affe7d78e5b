"""What has been said so far, and how a new connection is told of it. Pure.

A turn whose words are not known yet is sent again as sound. What follows it in the conversation is told after the
endpoint has heard it, so that the order of the items stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.protocol.conversation.actions import CreateCall, CreateCallOutput, CreateMessage
from rt_cli.protocol.conversation.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rt_cli.protocol.conversation.actions import Action
    from rt_cli.protocol.conversation.playback import Playback

MAX_ENTRIES = 4_096
"""Older ones are forgotten, as the endpoint's own context forgets them."""


@dataclass(eq=False, slots=True)
class UserTurn:
    """A turn of the user, spoken. Two of them are never equal."""

    item_id: str | None = None
    start: int | None = None
    end: int | None = None
    """Range on the timeline, samples; None if the endpoint tells of none."""
    number: int | None = None
    """Its number in the run; None before its end, and for one without words."""
    text: str = ""
    ended: bool = False
    """It has its final, or will have none."""
    answered: bool = False
    """Something of a reply to it has arrived."""
    again: bool = False
    """Its connection is gone before its end: its sound is on its way to the next one."""
    asked: bool = False
    """The present connection has it, and is to reply to it."""


@dataclass(eq=False, slots=True)
class TypedLine:
    """A line that the user has typed."""

    text: str


Entry = UserTurn | TypedLine | Reply


class History:
    """The entries of a conversation, in order.

    Args:
        playback: Says what of a reply was heard.
    """

    def __init__(self, playback: Playback) -> None:
        self.entries: list[Entry] = []
        self._playback = playback
        self._told = 0
        """Number of the entries that the present connection knows."""

    @property
    def complete(self) -> bool:
        """Whether the present connection knows everything, but for sound on its way."""
        return self._told >= len(self.entries)

    def add(self, entry: Entry) -> None:
        """Add an entry that the present connection knows already, or will be told of."""
        if self.complete:
            self._told += 1
        self.entries.append(entry)
        if len(self.entries) > MAX_ENTRIES and self._told:
            del self.entries[0]
            self._told -= 1

    def remove(self, entry: Entry) -> None:
        """Remove an entry of which nothing is left."""
        if entry in self.entries:
            at = self.entries.index(entry)
            self._told -= at < self._told
            del self.entries[at]

    @property
    def turns(self) -> list[UserTurn]:
        """All spoken turns."""
        return [entry for entry in self.entries if isinstance(entry, UserTurn)]

    def lost(self) -> None:
        """Note that the connection is gone, with all that it knew."""
        self._told = 0
        for turn in self.turns:
            if not turn.ended:
                turn.again, turn.item_id, turn.asked = True, None, False

    def tell(self, now: int) -> list[Action]:
        """Return what the present connection must be told now: everything up to the next turn on its way as sound."""
        actions: list[Action] = []
        while self._told < len(self.entries):
            entry = self.entries[self._told]
            if isinstance(entry, UserTurn) and entry.again:
                break
            actions += self._actions(entry, now)
            self._told += 1
        return actions

    def knows(self, entry: Entry) -> bool:
        """Return whether the present connection knows an entry."""
        return entry in self.entries and self.entries.index(entry) < self._told

    def _actions(self, entry: Entry, now: int) -> Iterator[Action]:
        match entry:
            case UserTurn(text=text) | TypedLine(text=text):
                if text.strip():
                    yield CreateMessage("user", text)
            case Reply():
                if (heard := entry.said_text(self._playback, now)).strip() and not entry.muted:
                    yield CreateMessage("assistant", heard)
                for call in entry.calls.values():
                    yield CreateCall(call.call_id, call.name, call.arguments)
                    if call.output is not None:
                        yield CreateCallOutput(call.call_id, call.output)
