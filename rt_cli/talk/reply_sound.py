"""The sound of replies at the rate of the conversation, where the endpoint sends another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.protocol.conversation.events import AudioDelta, OutputItemDone, ResponseDone

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.audio.resample import Resampler
    from rt_cli.protocol.server_events import ServerEvent

    Wanted = Callable[[AudioDelta], bool]


class ReplySound:
    """Converts the audio of one connection, message by message; what a filter holds back comes before the end.

    Args:
        reply_rate_hz: Of the audio of the endpoint.
        rate_hz: Of the conversation. An equal one changes nothing.
    """

    def __init__(self, reply_rate_hz: int, rate_hz: int) -> None:
        self._reply_rate_hz = reply_rate_hz
        self._rate_hz = rate_hz
        self._open: dict[tuple[str | None, str | None, int], tuple[AudioDelta, Resampler]] = {}
        """The last event and the filter of each message that is being said."""

    def converted(self, event: ServerEvent) -> list[ServerEvent]:
        """Return what an event is at the rate of the conversation: itself, unless it is audio or ends some."""
        if self._reply_rate_hz == self._rate_hz:
            return [event]
        match event:
            case AudioDelta():
                return self._convert(event)
            case OutputItemDone(response_id, item):
                return [*self._end(lambda last: last.response_id == response_id and last.item_id == item.id), event]
            case ResponseDone(response_id):
                return [*self._end(lambda last: last.response_id == response_id), event]
        return [event]

    def lost(self) -> None:
        """Note that the connection is gone. What filters hold back is less than 20 ms of a reply that is cut."""
        self._open.clear()

    def _convert(self, event: AudioDelta) -> list[ServerEvent]:
        # Import here: most endpoints need no conversion, and numpy is slow to import.
        from rt_cli.audio.format import pcm16_to_float
        from rt_cli.audio.resample import Resampler

        place = event.response_id, event.item_id, event.content_index
        before, resampler = self._open.get(place, (None, None))
        if event == before and event.event_id is not None:
            return []  # delivered twice
        resampler = resampler or Resampler(self._reply_rate_hz, self._rate_hz)
        self._open[place] = event, resampler
        return [replace(event, pcm=resampler.push(pcm16_to_float(event.pcm)))]

    def _end(self, of_it: Wanted) -> list[ServerEvent]:
        places = [place for place, (last, _) in self._open.items() if of_it(last)]
        ended = [self._open.pop(place) for place in places]
        return [replace(last, pcm=resampler.flush(), event_id=None) for last, resampler in ended]
