"""The sound of the user: files as a script says, a pipe, a microphone, or nothing where the user types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_samples
from rt_cli.audio.source import Block, SourceInfo

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable

    from rt_cli.audio.source import Source
    from rt_cli.talk.position import Position
    from rt_cli.talk.user.script import ConversationView, TalkScript

PIECE_MS = 20


class _TalkSource:
    """Common to the sources of a conversation: they wait for its beginning, and go on while the endpoint replies.

    Args:
        name: Of the source.
        position: The clock of the conversation; begins with the first sample.
        ready: Set when a connection is ready for the first time.
        on_sound: Receives each piece with its position, before it is sent.
    """

    def __init__(
        self, name: str, position: Position, ready: asyncio.Event, on_sound: Callable[[int, bytes], None]
    ) -> None:
        self._position = position
        self._ready = ready
        self._on_sound = on_sound
        self._stopped = False
        self._samples = 0
        self._info = SourceInfo(name, "pipe", live=True, rate_hz=position.rate_hz, channels=1)
        self._piece = to_samples(PIECE_MS, position.rate_hz)

    @property
    def info(self) -> SourceInfo:
        """Live: a conversation does not wait."""
        return self._info

    def stop(self) -> None:
        """End the sound now."""
        self._stopped = True
        self._ready.set()

    async def aclose(self) -> None:
        """Nothing is open."""
        self.stop()

    async def _begin(self) -> bool:
        """Wait for the endpoint: what is said before would be heard in a burst. False if the run ends before."""
        await self._ready.wait()
        self._position.begin()
        return not self._stopped

    def _block(self, pcm: bytes) -> Block:
        self._on_sound(self._samples, pcm)
        self._samples += len(pcm) // BYTES_PER_SAMPLE
        return Block(pcm)

    async def _play(self, script: TalkScript, view: ConversationView) -> AsyncIterator[Block]:
        """Yield what a script says, in pieces, each when its last sample is due."""
        while not self._stopped:
            await self._position.reach(self._samples + self._piece)
            pcm = script.next(self._samples, self._piece, view)
            if pcm is None or self._stopped:
                return
            yield self._block(pcm)


class ScriptedSource(_TalkSource):
    """A script of turns.

    Args:
        name: Of the source.
        script: The turns.
        view: What the user notices.
        position: As for all sources.
        ready: As for all sources.
        on_sound: As for all sources.
    """

    def __init__(
        self,
        name: str,
        script: TalkScript,
        view: ConversationView,
        position: Position,
        ready: asyncio.Event,
        on_sound: Callable[[int, bytes], None],
    ) -> None:
        super().__init__(name, position, ready, on_sound)
        self._script = script
        self._view = view

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the sound, until the script has ended or :meth:`stop`. Safe to cancel."""
        if await self._begin():
            async for block in self._play(self._script, self._view):
                yield block


class ContinuedSource(_TalkSource):
    """A pipe or a microphone, and then silence until the endpoint has said everything.

    Args:
        inner: The pipe or microphone.
        script: Without turns: the wait for the last reply.
        view: What the user notices.
        position: As for all sources.
        ready: As for all sources.
        on_sound: As for all sources.
    """

    def __init__(
        self,
        inner: Source,
        script: TalkScript,
        view: ConversationView,
        position: Position,
        ready: asyncio.Event,
        on_sound: Callable[[int, bytes], None],
    ) -> None:
        super().__init__(inner.info.name, position, ready, on_sound)
        self._inner = inner
        self._script = script
        self._view = view

    @property
    def info(self) -> SourceInfo:
        """That of the pipe or microphone, which waits for nobody."""
        info = self._inner.info
        return SourceInfo(info.name, info.kind, live=True, rate_hz=info.rate_hz, channels=info.channels)

    def stop(self) -> None:
        """End the sound now."""
        super().stop()
        self._inner.stop()

    async def aclose(self) -> None:
        """Close the pipe or microphone."""
        self.stop()
        await self._inner.aclose()

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the sound; a pipe no faster than it can be said. Safe to cancel."""
        live = self._inner.info.live
        if not live and not await self._begin():
            return
        async for block in self._inner.blocks():
            if not self._position.began:
                self._position.begin(len(block.pcm) // BYTES_PER_SAMPLE)
            if live or block.lost:
                self._samples += block.lost
                self._block(block.pcm)
                yield block
                continue
            size = self._piece * BYTES_PER_SAMPLE
            for start in range(0, len(block.pcm), size):
                if self._stopped:
                    return
                piece = block.pcm[start : start + size]
                await self._position.reach(self._samples + len(piece) // BYTES_PER_SAMPLE)
                yield self._block(piece)
        if not live:
            self._script.said(self._samples)
            async for block in self._play(self._script, self._view):
                yield block


class SilentSource(_TalkSource):
    """No sound at all: the user types.

    Args:
        next_line: Sends the next line, if it is time for it; returns False at the end.
        position: As for all sources.
        ready: As for all sources.
    """

    def __init__(self, next_line: Callable[[], bool], position: Position, ready: asyncio.Event) -> None:
        super().__init__("typed", position, ready, lambda _at, _pcm: None)
        self._next_line = next_line

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield nothing; end when the last line has its reply. Safe to cancel."""
        if not await self._begin():
            return
        at = 0
        while not self._stopped and self._next_line():
            at += self._piece
            await self._position.sleep_until(at)
        nothing: tuple[Block, ...] = ()
        for block in nothing:
            yield block
