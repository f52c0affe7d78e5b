"""The library: a source and an endpoint in, typed events out.

It reads no config file and no variable of the environment unless :func:`load_settings` is called, prints nothing,
installs no signal handler and never ends the process. A key is an argument.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Literal

from rt_cli.errors import EXIT_INTERRUPTED, RtError, SenderBusy, UsageError
from rt_cli.events import EndpointChosen, Noted, Summary
from rt_cli.run.event_queue import EventQueue
from rt_cli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
    from pathlib import Path

    from rt_cli.events import Event
    from rt_cli.run.plan import Plan
    from rt_cli.run.sources import NamedSource
    from rt_cli.run.streamers import Streamers

Chunks = BinaryIO | AsyncIterable[bytes]
"""Raw PCM in the layout of ``settings.input``, or a WAV stream, split anywhere."""
_CLOSING_S = 10.0
"""Most time that leaving a synchronous iteration early may take."""


def send(
    source: str | os.PathLike[str] | Chunks,
    *,
    url: str | None = None,
    key: str | None = None,
    settings: Settings | None = None,
    progress: bool = False,
) -> Transcript:
    """Send a file, or chunks that can wait, and iterate over what happens.

    Args:
        source: A path of a sound file; or bytes as a binary stream or an asynchronous iterable. The endpoint sets the
            pace: at most a few seconds of audio are read ahead.
        url: http, https, ws or wss; None for that of ``settings``, or else for the embedded endpoint.
        key: API key for the URL; None for ``settings.endpoint.api_key_file`` or ``api_key_cmd``, if one is set,
            else for the system's keyring (``rt login``).
        settings: Everything else.
        progress: Whether to report :class:`~rt_cli.events.Progress` ten times a second.
    """
    return Client(url=url, key=key, settings=settings).send(source, progress=progress)


def stream(
    source: Chunks | None = None,
    *,
    url: str | None = None,
    key: str | None = None,
    settings: Settings | None = None,
    progress: bool = False,
) -> Transcript:
    """Stream the microphone of ``settings.input.device``, or live chunks, and iterate over what happens.

    Args:
        source: None for the microphone; or bytes, taken as fast as they come, whatever the network does.
        url: As for :func:`send`.
        key: As for :func:`send`.
        settings: Everything else.
        progress: Whether to report :class:`~rt_cli.events.Progress` ten times a second.
    """
    return Client(url=url, key=key, settings=settings).stream(source, progress=progress)


def load_settings(*, config: Path | None = None, profile: str | None = None) -> Settings:
    """Return the settings of the user's config file and environment (``RT_*``), as the command line has them.

    Args:
        config: The config file; None for the one of ``RT_CONFIG``, or of the user's config folder.
        profile: A profile of it; None for its default profile.

    Raises:
        UsageError: An unreadable file or an invalid value.
    """
    from rt_cli.config.layers import load_settings as load

    return load({}, config=config, profile=profile, environ=os.environ)


class Client:
    """An endpoint to which one source is sent at a time.

    Args:
        url: As for :func:`send`.
        key: As for :func:`send`.
        settings: Everything else. Of ``settings.output`` only ``save_audio`` counts: the rest is for the command line.
        busy: What a second transcription does while another one runs: wait for its turn, or raise SenderBusy.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        key: str | None = None,
        settings: Settings | None = None,
        busy: Literal["wait", "fail"] = "wait",
    ) -> None:
        settings = settings or Settings()
        if url is not None:
            settings = replace(settings, endpoint=replace(settings.endpoint, url=url, local=False))
        self._settings = settings
        self._key = key
        self._busy = busy
        self._lane = asyncio.Lock()

    def send(self, source: str | os.PathLike[str] | Chunks, *, progress: bool = False) -> Transcript:
        """Send a source that can wait, as :func:`send` does."""
        return Transcript(self, lambda: self._finite(source), progress=progress)

    def stream(self, source: Chunks | None = None, *, progress: bool = False) -> Transcript:
        """Stream a live source, as :func:`stream` does."""
        return Transcript(self, lambda: self._live(source), progress=progress)

    @property
    def settings(self) -> Settings:
        """The settings, with the URL."""
        return self._settings

    def plan(self) -> Plan:
        """Return what follows from the settings. Blocks while a key command runs.

        Raises:
            UsageError, RefusedError, EndpointError: As a run raises them before anything is opened.
        """
        from rt_cli.run.plan import make_plan

        if self._settings.input.channel == "split":
            raise UsageError("a transcription has one channel", "make two of them, of the left and the right one")
        if self._settings.input.ptt:
            raise UsageError("push to talk needs the keys of rt stream", "leave it out, or mute the source")
        return make_plan(self._settings, {}, key=self._key)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[None]:
        """Hold the endpoint for one transcription. Safe to cancel.

        Raises:
            SenderBusy: Another transcription runs, and ``busy`` is ``fail``.
        """
        if self._busy == "fail" and self._lane.locked():
            raise SenderBusy("another source is being sent")
        async with self._lane:
            yield

    def _finite(self, source: str | os.PathLike[str] | Chunks) -> NamedSource:
        if not isinstance(source, str | os.PathLike):
            return self._chunks(source, live=False)
        from rt_cli.run.sources import file_source

        name = os.fspath(source)
        # A file may have the name that means stdin on the command line.
        return file_source("./-" if name == "-" else name, self._settings.input)

    def _live(self, source: Chunks | None) -> NamedSource:
        if source is not None:
            return self._chunks(source, live=True)
        from rt_cli.run.sources import microphone_source

        return microphone_source(self._settings.input, retry_for_s=self._settings.delivery.retry_for_s)

    def _chunks(self, source: Chunks, *, live: bool) -> NamedSource:
        from rt_cli.run.sources import chunk_source

        return chunk_source(source, self._settings.input, live=live)


class Transcript:
    """The transcription of one source: iterate over its events, once, with ``async for`` or with ``for``.

    The last event is the :class:`~rt_cli.events.Summary`. After it, iteration raises the error that the exit code of
    the summary stands for, if there is one: also if only some audio is in no final (code ``incomplete``). Leaving the
    loop early ends the transcription; so does cancellation.

    Made by :func:`send`, :func:`stream` and :class:`Client`.
    """

    def __init__(self, client: Client, open_source: Callable[[], NamedSource], *, progress: bool) -> None:
        self.summary: Summary | None = None
        """The summary, once it was reported."""
        self._client = client
        self._open_source = open_source
        self._progress = progress
        self._events = EventQueue()
        self._streamers: Streamers | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began = self._stopped = self._too_slow = False

    def stop(self) -> None:
        """End capture; the finals of what was captured still come. A second call does not wait for them. Thread-safe.

        Before the iteration it keeps the transcription from beginning.
        """
        self._stopped = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._streamers is not None:
            self._streamers.interrupt(EXIT_INTERRUPTED)

    async def _run(self, plan: Plan, source: NamedSource) -> RtError | None:
        from rt_cli.run.streamers import Streamers

        self._streamers = streamers = Streamers(self._client.settings, self._on_event, progress=self._progress)
        if self._stopped:
            self._stop()
        async with AsyncExitStack() as stack:
            await streamers.open(plan, stack)
            await streamers.send(source, lambda _channel: self._on_event)
        if self._too_slow:
            hint = "fetch them as they come"
            return RtError("the events are fetched too slowly: too many wait", hint, code="slow_reader")
        return streamers.error

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Noted | EndpointChosen):  # for a status line
            return
        if isinstance(event, Summary):
            self.summary = event
        if not self._events.put(event) and not self._too_slow:
            self._too_slow = True
            self._stop()
            self._stop()

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        """Run the transcription.

        Yields:
            The events, in order. Of the partials of a turn, and of progress, those that were not fetched in time are
            left out for newer ones.

        Raises:
            RtError: The settings contradict each other, or see above.
            SenderBusy: See :class:`Client`.
        """
        if self._began:
            raise UsageError("a transcription can be iterated once", "make another one")
        self._began, self._loop = True, asyncio.get_running_loop()
        async with self._client.lane():
            plan = await asyncio.to_thread(self._client.plan)
            task = asyncio.ensure_future(self._run(plan, self._open_source()))
            task.add_done_callback(lambda _: self._events.close())
            try:
                async for event in self._events:
                    yield event
                error = task.result()
                if error is not None:
                    raise error
            finally:
                task.cancel()
                await asyncio.wait((task,))

    def __iter__(self) -> Generator[Event, None, None]:
        """Iterate without asyncio, for scripts; as for ``async for``. The work is done on a thread of its own."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="rt", daemon=True)
        thread.start()
        events = self.__aiter__()
        try:
            while (event := asyncio.run_coroutine_threadsafe(anext(events, None), loop).result()) is not None:
                yield event
        finally:
            asyncio.run_coroutine_threadsafe(events.aclose(), loop).result(_CLOSING_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_CLOSING_S)
            loop.close()
