"""A microphone without PortAudio: a recording program of the system writes its audio into a pipe.

If ``pactl`` answers, the program records from one named source. The default source of the start stays in use.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from rt_cli.audio.channels import check, min_channels
from rt_cli.audio.microphone.call_in_thread import call_in_thread
from rt_cli.audio.microphone.convert import WireConverter
from rt_cli.audio.microphone.device_buffer import DeviceBuffer
from rt_cli.audio.microphone.devices import Identity, select
from rt_cli.audio.microphone.portaudio_stream import CLOSE_DEADLINE_S, Microphone
from rt_cli.audio.microphone.pulse import ask, default_source
from rt_cli.audio.microphone.recorder_commands import (
    PROGRAMS,
    choose_source,
    parse_pcms,
    parse_sources,
    server_recorders,
    serverless_recorders,
)
from rt_cli.audio.source import SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import IO

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.microphone.recorder_commands import RecorderCommand

_READ_BYTES = 1 << 16
_SPAWN_DEADLINE_S = 5.0
FIRST_SOUND_S = 4.0
"""Longest wait for the first audio. A program that cannot record ends at once."""
_TERMINATE_S = 0.5
_AU_MAGIC = b".snd"
"""Signature of the AU header that a pw-record without raw output writes."""
_OVERRUN = re.compile(rb"overrun.*?([\d.]+) ms")


def installed() -> list[str]:
    """List the recording programs on this machine, in the order in which they are tried."""
    return [program for program in PROGRAMS if shutil.which(program) is not None]


async def open_recorder(
    device: str | None, *, wire_rate_hz: int, chunk_ms: int = 40, pick: Pick = "mix"
) -> tuple[Microphone, RecorderCommand, Callable[[float], Awaitable[Microphone]]]:
    """Open a microphone with the first program that delivers audio. Safe to cancel: the program is ended.

    Args:
        device: None for the default; else a name for :func:`choose_source`, or a name from ``arecord -L``.
        wire_rate_hz: Rate of the blocks.
        chunk_ms: Preferred length of a sent chunk.
        pick: The channels to use; for ``split`` the blocks hold two interleaved channels.

    Returns:
        The microphone, whose first audio has arrived; the command of its program; and a function that opens the same
        source with the same program again, with the longest wait for audio in seconds as its argument.

    Raises:
        UsageError: Several devices match.
        AudioError: There is no program (``no_recorder``), no device matches, or no program delivers audio.
    """
    programs = installed()
    if not programs:
        raise AudioError(f"none of {', '.join(PROGRAMS)} is there", code="no_recorder")
    open_again = partial(_open, wire_rate_hz=wire_rate_hz, block_s=min(max(chunk_ms, 10), 100) / 1000, pick=pick)
    failures = []
    for recorder in await _recorders(programs, device, pick):
        try:
            microphone = await open_again(recorder, FIRST_SOUND_S)
        except AudioError as error:
            failures.append(f"{recorder.program}: {error.message}")
            continue
        return microphone, recorder, partial(open_again, recorder)
    raise AudioError("; ".join(failures) or f"no source for {programs[0]}", code="recorder_failed")


async def _recorders(programs: Sequence[str], device: str | None, pick: Pick) -> list[RecorderCommand]:
    """List the commands to try, in order."""
    source_list, info = await ask("list", "sources"), await ask("info")
    sources = parse_sources(source_list or "")
    raw = "pw-record" in programs and "--raw" in await _stdout_of("pw-record", "--help")
    if sources and set(programs) & {"pw-record", "parec"}:
        place = choose_source(sources, device, default_source(info or ""))
        if place is not None:
            check(sources[place][1].channels, pick, f'the microphone "{sources[place][1].name}" ')
            return server_recorders(programs, *sources[place], min_channels(pick), raw=raw)
    if device is None or "arecord" not in programs:
        return serverless_recorders(programs, None, min_channels(pick), raw=raw) if device is None else []
    pcms = parse_pcms(await _stdout_of("arecord", "-L"))
    return serverless_recorders(programs, select(pcms, device).name, min_channels(pick), raw=raw)


async def _stdout_of(*command: str) -> str:
    """Run a program and return its stdout; empty after an error or at the deadline."""

    def run_program() -> str:
        process = subprocess.run(  # noqa: S603  # fixed arguments
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SPAWN_DEADLINE_S, check=False
        )
        return process.stdout.decode(errors="replace")

    try:
        return await call_in_thread(run_program, deadline_s=2 * _SPAWN_DEADLINE_S)
    except (OSError, TimeoutError, subprocess.TimeoutExpired):
        return ""


class RecorderProcess:
    """A running recording program, in its own session and so without the signals of the terminal.

    Has the interface of a PortAudio stream.

    Args:
        recorder: The command to run.
        buffer: The buffer for its audio.
    """

    latency = 0.1
    """Delay of audio in the pipe, seconds."""

    def __init__(self, recorder: RecorderCommand, buffer: DeviceBuffer) -> None:
        self._buffer = buffer
        self._rate_hz = recorder.rate_hz
        self._last_line = b""
        self._overruns_ms: deque[float] = deque()
        self._process = subprocess.Popen(  # noqa: S603  # fixed arguments, and names from the server
            [recorder.program, *recorder.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=read, args=(stream,), name=f"rt-{recorder.program}", daemon=True)
            for read, stream in ((self._read_audio, self._process.stdout), (self._read_stderr, self._process.stderr))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def process_id(self) -> int:
        """Process id of the program."""
        return self._process.pid

    @property
    def last_stderr_line(self) -> str:
        """The last line of the program's stderr."""
        return self._last_line.decode(errors="replace").strip()

    def abort(self, *, ignore_errors: bool = True) -> None:  # noqa: ARG002  # the interface of PortAudio's stream
        """Send SIGTERM to the program."""
        self._process.terminate()

    def close(self, *, ignore_errors: bool = True) -> None:  # noqa: ARG002  # the same
        """Wait for the end of the program and of its output; kill it after half a second. Blocks."""
        try:
            self._process.wait(_TERMINATE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(_TERMINATE_S)  # a child of the program may hold the pipes

    def _read_audio(self, stream: IO[bytes]) -> None:
        """Thread: copy the audio to the buffer until the program closes the pipe."""
        frame, rest, started = self._buffer.frame_bytes, b"", False
        with stream:
            while data := os.read(stream.fileno(), _READ_BYTES):
                data = rest + data
                if not started and data.startswith(_AU_MAGIC):
                    self._last_line = b"it writes no raw sound into a pipe"
                    break
                started = True
                self._lose_overruns()
                whole = len(data) - len(data) % frame
                self._buffer.take(memoryview(data)[:whole], whole // frame)
                rest = data[whole:]
        self._buffer.on_finished()

    def _lose_overruns(self) -> None:
        while self._overruns_ms:
            lost = round(self._overruns_ms.popleft() * self._rate_hz / 1000)
            self._buffer.ring.lose(lost * self._buffer.frame_bytes)

    def _read_stderr(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                if overrun := _OVERRUN.search(line):
                    self._overruns_ms.append(float(overrun[1]))
                elif line.strip():
                    self._last_line = line


async def _open(
    recorder: RecorderCommand, first_block_s: float, *, wire_rate_hz: int, block_s: float, pick: Pick
) -> Microphone:
    """Start a recording program and wait for its first audio.

    Raises:
        AudioError: The source is missing, or the program delivers no audio in time.
    """
    number = None if recorder.source is None else await _source_number(recorder.source)
    if recorder.source is not None and number is None:
        raise AudioError(f'the microphone "{recorder.name}" is not there', "plug it in again", code="no_such_device")
    buffer = DeviceBuffer(asyncio.get_running_loop(), recorder.rate_hz, recorder.channels)

    def start() -> RecorderProcess:
        return RecorderProcess(recorder, buffer)

    try:
        process = await call_in_thread(start, deadline_s=_SPAWN_DEADLINE_S, discard=_end)
    except OSError as error:
        raise AudioError(error.strerror or "cannot be run", code="recorder_failed") from error
    except TimeoutError as error:
        raise AudioError("it does not start", code="recorder_failed") from error
    try:
        await _wait_for_audio(buffer, first_block_s)
    except BaseException as error:
        await call_in_thread(partial(_end, process), deadline_s=CLOSE_DEADLINE_S)
        if isinstance(error, TimeoutError):
            raise AudioError(process.last_stderr_line or "it gives no sound", code="recorder_failed") from error
        raise
    info = SourceInfo(recorder.name, "microphone", live=True, rate_hz=recorder.rate_hz, channels=recorder.channels)
    converter = WireConverter(recorder.rate_hz, recorder.channels, wire_rate_hz, pick)
    microphone = Microphone(info, process, buffer, converter, block_s, Identity(recorder.name, 1, 0))
    if recorder.source is not None:
        microphone.watch_server(process.process_id, number)
    return microphone


async def _source_number(source: str) -> int | None:
    """Query the server's number of a source; None if the source is missing."""
    numbers = {name: device.index for name, device in parse_sources(await ask("list", "sources") or "")}
    return numbers.get(source)


async def _wait_for_audio(buffer: DeviceBuffer, seconds: float) -> None:
    """Wait for the first block.

    Raises:
        TimeoutError: No block arrives in time, or the program ends before.
    """
    async with asyncio.timeout(seconds):
        await buffer.data_ready.wait()
    if not buffer.blocks:
        raise TimeoutError


def _end(process: Any) -> None:
    process.abort()
    process.close()
