"""The codec of OpenAI's realtime protocol. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.dialects.codec import Codec
from rt_cli.protocol.openai.decode import decode
from rt_cli.protocol.openai.encode import append_events, clear_event, commit_event, session_update_event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rt_cli.protocol.server_events import ServerEvent


class OpenAiCodec(Codec):
    """Keeps no state: ids and offsets are in the events.

    Args:
        session: The object of ``session.update``.
    """

    def __init__(self, session: Mapping[str, object]) -> None:
        self._session = session

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Return our ``session.update``. Raises TypeError if the session object is not JSON."""
        return (session_update_event(self._session, event_id),)

    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Encode as ``input_audio_buffer.append``."""
        return append_events(pcm, size)

    def commit_message(self, event_id: str) -> bytes:
        """Encode ``input_audio_buffer.commit``."""
        return commit_event(event_id)

    def clear_message(self, event_id: str) -> bytes:
        """Encode ``input_audio_buffer.clear``."""
        return clear_event(event_id)

    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message, which is one event."""
        return (decode(message),)
