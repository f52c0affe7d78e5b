"""What one connection says and hears, in the words of its provider. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.protocol.conversation.actions import Action
    from rt_cli.protocol.server_events import ServerEvent


class Codec(ABC):
    """Encodes the messages of one connection and decodes the answers; may keep state about it.

    A message is the UTF-8 of a text message, or a :class:`~rt_cli.protocol.message.Binary`. A dialect that has no
    commit, no clear or no end of the stream says so, and these methods are not called.
    """

    def session_messages(self, event_id: str) -> Sequence[bytes]:
        """Return the messages that configure the session; none if the URL says everything.

        Args:
            event_id: An answer may repeat it.
        """
        del event_id
        return ()

    @abstractmethod
    def audio_messages(self, pcm: bytes, size: int) -> Sequence[bytes]:
        """Encode audio.

        Args:
            pcm: int16, little-endian, mono, at the rate of the session; not empty.
            size: Bytes of audio in each message at most; a provider with a lower limit uses that.
        """

    def rest_messages(self) -> Sequence[bytes]:
        """Encode the audio that was held back; asked for before every commit, clear and end of the stream."""
        return ()

    def commit_message(self, event_id: str) -> bytes:
        """Encode that the audio so far is a turn; an answer may repeat the id."""
        raise NotImplementedError

    def clear_message(self, event_id: str) -> bytes:
        """Encode a request whose answer, ``BufferCleared``, proves that all audio before it was processed."""
        raise NotImplementedError

    def end_message(self, event_id: str) -> bytes:
        """Encode the end of the stream: the endpoint closes the last turn, and answers what becomes ``StreamEnded``."""
        raise NotImplementedError

    def action_message(self, action: Action) -> bytes:
        """Encode a client event of a conversation; only the codec of a conversation has them."""
        raise NotImplementedError

    def tick(self, read: int, now: float) -> Sequence[ServerEvent]:
        """Return what the endpoint means by its silence; called twice a second.

        Args:
            read: Samples of the connection that the endpoint has read.
            now: Seconds.
        """
        del read, now
        return ()

    @abstractmethod
    def decode(self, message: str | bytes) -> Sequence[ServerEvent]:
        """Decode one message of the endpoint to the events that it means, in order. Never raises.

        Texts of the events are untrusted and may hold control characters.

        Args:
            message: A text message, or the content of a binary frame.
        """
