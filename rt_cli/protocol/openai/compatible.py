"""The codec of servers that claim to be compatible, and of conversations that are only listened to. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rt_cli.protocol.openai.codec import OpenAiCodec
from rt_cli.protocol.openai.conversation import READERS, encode_action
from rt_cli.protocol.openai.decode import decode
from rt_cli.protocol.openai.encode import session_update_event
from rt_cli.protocol.openai.flat import flattened
from rt_cli.protocol.server_events import SessionCreated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rt_cli.protocol.conversation.actions import Action
    from rt_cli.protocol.server_events import ServerEvent

LISTENING = {name: READERS[name] for name in ("response.created",)}
"""The only events of a conversation that concern who listens."""


class ListeningCodec(OpenAiCodec):
    """Reads of replies that they begin, and can cancel them."""

    def action_message(self, action: Action) -> bytes | None:
        """Encode a client event of the conversation."""
        return msgspec.json.encode(encode_action(action))

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message, which is one event."""
        return (decode(message, LISTENING),)


class CompatibleCodec(ListeningCodec):
    """Takes over the shape of the session that the endpoint greets with.

    Args:
        session: The object of ``session.update``, in the nested shape.
    """

    def __init__(self, session: Mapping[str, object]) -> None:
        super().__init__(session)
        self._flat = False

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Return our ``session.update``. Raises TypeError if the session object is not JSON."""
        if not self._flat:
            return super().session_messages(event_id)
        return (session_update_event(flattened(self._session), event_id),)

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message, which is one event."""
        event = decode(message, LISTENING)
        if isinstance(event, SessionCreated):
            self._flat = event.flat
        return (event,)
