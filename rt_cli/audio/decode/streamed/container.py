"""Input that is a container: decoded as it comes, or kept in a temporary file where its index is at its end."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.audio.channels import width
from rt_cli.audio.decode.mp4_boxes import index_is_first
from rt_cli.audio.decode.streamed.ending import ending_of
from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.audio.source import Block
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.decode.files import FileSource
    from rt_cli.audio.decode.streamed.container_stream import ContainerStream
    from rt_cli.audio.source import SourceInfo

DEMUXERS = {
    "AAC": "aac",
    "AC-3": "ac3",
    "AIFF": "aiff",
    "AMR": "amr",
    "AVI": "avi",
    "FLAC": "flac",
    "FLV": "flv",
    "MP3": "mp3",
    "MP4": "mov",
    "MPEG": "mpeg",
    "MPEG-TS": "mpegts",
    "Matroska or WebM": "matroska",
    "Ogg": "ogg",
    "WMA": "asf",
}
"""Formats that can be read from their beginning to their end, each with the demuxer of libav."""
MOST_KEPT_BYTES = 1 << 30
_LONGEST_HEAD = 1 << 20
"""An MP4 whose index does not begin before this is kept."""
_SAID_TWICE = {"truncated", "damaged"}
"""Codes of errors at the end that are also warnings: what could be heard was transcribed."""


def has_libav() -> bool:
    """Return whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def check_libav(kind: str) -> None:
    """Raise AudioError if PyAV, which decodes this format, is not installed."""
    if not has_libav():
        raise AudioError(
            f"the input is {kind}, which needs PyAV",
            "pip install 'rt-cli[media]', or decode it first: ffmpeg -i IN -f wav - | rt ... -",
            code="not_pcm",
        )


class Container:
    """The sound of a container.

    Args:
        kind: One of :data:`DEMUXERS`.
        head: Its first bytes.
        read: Waits for the next bytes; empty at the end, or where they fail.
        wire_rate_hz: Rate of the blocks.
        pick: The channels to use.
        info: Of the input.
        report: Receives warnings, as code and text.
    """

    def __init__(
        self,
        kind: str,
        head: bytes,
        read: Callable[[], Awaitable[bytes]],
        wire_rate_hz: int,
        pick: Pick,
        info: SourceInfo,
        report: Callable[[tuple[str, str]], None],
    ) -> None:
        self.info = info
        """Of the input; from the first block on with the rate and the channels of the container."""
        self._kind = kind
        self._head = head
        self._read = read
        self._wire_rate_hz = wire_rate_hz
        self._pick = pick
        self._report = report
        self._ending = ending_of(kind, wire_rate_hz, width(pick))
        self._frame_bytes = BYTES_PER_SAMPLE * width(pick)
        self._stopped = False
        self._kept: FileSource | None = None

    def stop(self) -> None:
        """End the blocks of a container that is all here; one that still comes counts as whole. Idempotent."""
        self._stopped = True
        if self._kept is not None:
            self._kept.stop()

    async def blocks(self) -> AsyncGenerator[Block]:
        """Yield the sound. Iterate once; safe to cancel.

        Raises:
            AudioError: The container is damaged, ends too early, has no sound, or cannot be kept. What can be heard has
                been yielded.
        """
        keep = self._kind == "MP4" and not await self._index_comes_first()
        async with aclosing(self._keep() if keep else self._stream()) as blocks:
            async for block in blocks:
                yield block

    async def _index_comes_first(self) -> bool:
        while (first := index_is_first(self._head)) is None and len(self._head) < _LONGEST_HEAD:
            if not (data := await self._read()):
                break
            self._head += data
        return bool(first)

    async def _stream(self) -> AsyncGenerator[Block]:
        from rt_cli.audio.decode.streamed.container_stream import ContainerStream

        stream = ContainerStream(DEMUXERS[self._kind], self._kind, self._wire_rate_hz, self._pick, live=self.info.live)
        feeding = asyncio.ensure_future(self._give(stream))
        heard = 0
        try:
            async with aclosing(stream.blocks()) as blocks:
                async for block in blocks:
                    self.info = replace(self.info, rate_hz=stream.rate_hz, channels=stream.channels)
                    self._pass_warnings(stream)
                    heard += block.lost + len(block.pcm) // self._frame_bytes
                    yield replace(block, pcm=self._ending.push(block.pcm, block.lost))
            error = None if self._stopped else self._ending.error(heard / self._wire_rate_hz)
            yield Block(self._ending.rest())
            if error is not None:
                raise error
        except AudioError as error:
            yield Block(self._ending.rest())
            if error.code in _SAID_TWICE:
                self._report((error.code, error.message))
            raise
        finally:
            self._pass_warnings(stream)
            feeding.cancel()
            await asyncio.wait((feeding,))
            if not feeding.cancelled():
                feeding.result()

    async def _give(self, stream: ContainerStream) -> None:
        try:
            data = self._head
            while data:
                self._ending.see(data)
                await stream.put(data)
                data = await self._read()
        finally:
            stream.end()

    def _pass_warnings(self, stream: ContainerStream) -> None:
        warnings, stream.warnings = stream.warnings, []
        for warning in warnings:
            self._report(warning)

    async def _keep(self) -> AsyncGenerator[Block]:
        import tempfile  # most input is not kept

        from rt_cli.audio.decode.files import open_file

        self._report(("kept", "has its index at its end: it is kept in a temporary file until all of it is here"))
        try:
            descriptor, path = await asyncio.to_thread(tempfile.mkstemp, prefix="rt-")
        except OSError as error:
            raise _not_kept(error) from error
        try:
            try:
                await self._fill(descriptor)
            finally:
                os.close(descriptor)
            self._kept = file = await asyncio.to_thread(
                open_file, path, wire_rate_hz=self._wire_rate_hz, pick=self._pick, warn=self._warn_soon(), name=""
            )
            try:
                self.info = replace(self.info, rate_hz=file.info.rate_hz, channels=file.info.channels)
                async for block in file.blocks():
                    yield block
            finally:
                await file.aclose()
        except AudioError as error:
            raise AudioError(error.message.removeprefix(": "), error.hint, code=error.code) from error.__cause__
        finally:
            await asyncio.to_thread(Path(path).unlink)

    async def _fill(self, descriptor: int) -> None:
        data, size = self._head, 0
        while data:
            size += len(data)
            if size > MOST_KEPT_BYTES:
                raise AudioError("has its index at its end, and is longer than 1 GiB", "send it as a file")
            try:
                await asyncio.to_thread(_write, descriptor, data)
            except OSError as error:
                raise _not_kept(error) from error
            data = await self._read()

    def _warn_soon(self) -> Callable[[str, str], None]:
        """Return a function that reports a warning from another thread."""
        loop = asyncio.get_running_loop()

        def warn(code: str, text: str) -> None:
            loop.call_soon_threadsafe(self._report, (code, text.removeprefix(": ")))

        return warn


def _not_kept(error: OSError) -> AudioError:
    return AudioError(f"cannot be kept in a temporary file: {error.strerror}", "make room, or set TMPDIR")


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
