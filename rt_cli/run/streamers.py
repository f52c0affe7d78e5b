"""The sources of a run at its endpoint: what the commands and the library have in common."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.channels import SIDES, of_channel
from rt_cli.clock import SystemClock
from rt_cli.events import EndpointChosen, Warned
from rt_cli.protocol.endpoint.negotiation import Negotiation
from rt_cli.run.open_endpoint import DEMO_CODE, open_endpoint
from rt_cli.settings import auto
from rt_cli.streaming.cost import bill_of
from rt_cli.streaming.job import Job, all_written
from rt_cli.streaming.streamer import Streamer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from rt_cli.audio.source import Source, Warn
    from rt_cli.errors import RtError
    from rt_cli.events import EventHandler, Summary
    from rt_cli.run.plan import Plan
    from rt_cli.run.sources import NamedSource
    from rt_cli.settings import Settings
    from rt_cli.streaming.capture.push_to_talk import Command
    from rt_cli.streaming.transport.wire_recorder import WireRecorder


class Streamers:
    """Opens the endpoint of a plan, and runs a streamer for each source, or for each of its two channels.

    Args:
        settings: Common to all sources.
        on_event: Receives the events that concern no single source.
        progress: Whether to report marks and levels ten times a second.
        lower_limit: Lowers the most sources at once to what the endpoint has room for. True if it is lower than before.
        wire_recorder: Records the connections.
        count_unwritten: Waits for the reader of stdout, and returns how many finals had none.
        on_translated_sound: Takes the sound of a translation.
    """

    def __init__(
        self,
        settings: Settings,
        on_event: EventHandler,
        *,
        progress: bool,
        lower_limit: Callable[[int], bool] = lambda _sources: False,
        wire_recorder: WireRecorder | None = None,
        count_unwritten: Callable[[], Awaitable[int]] = all_written,
        on_translated_sound: Callable[[bytes], None] = lambda _pcm: None,
    ) -> None:
        self.error: RtError | None = None
        """The cause of the exit code of the source that ended last; None if it has none, or is an interrupt."""
        self._settings = settings
        self._on_event = on_event
        self._split = settings.input.channel == "split"
        # The merge of two channels orders them by their progress.
        self._progress = progress or self._split
        self._lower_limit = lower_limit
        self._wire_recorder = wire_recorder
        self._count_unwritten = count_unwritten
        self._on_translated_sound = on_translated_sound
        self._bill = bill_of(settings)
        self._running: list[Streamer] = []
        """Running streamers. One with a spool stays until its results are written."""
        self._interrupts: list[int] = []
        self._stdout_closed = False
        self._commands: list[Command] = []
        """Commands that came before all channels had a streamer."""
        self._last_settled_at = -math.inf
        self._remark = ""

    @property
    def sessions_each(self) -> int:
        """Sessions of each source."""
        return len(SIDES) if self._split else 1

    async def open(self, plan: Plan, stack: AsyncExitStack) -> None:
        """Open the endpoint, which the stack closes. Safe to cancel.

        Raises:
            RtError: The embedded endpoint cannot be started.
        """
        self._plan = plan
        self._endpoint = endpoint = await open_endpoint(self._settings, plan, stack, on_embedded=self._on_embedded)
        self._negotiation = Negotiation(endpoint, plan.session, self._settings.session)
        where = "embedded" if endpoint.embedded else endpoint.host
        self._on_event(EndpointChosen(where, endpoint.model, plan.choice.reason, self._remark))
        if endpoint.trust.insecure and endpoint.url.startswith("wss:"):
            warning = "the certificate is not checked (--insecure): whoever is on the way can listen"
            self._on_event(Warned("insecure", warning))

    def _on_embedded(self, warning: Warned, sessions: int) -> None:
        self._lower_limit(sessions // self.sessions_each)
        if warning.code == DEMO_CODE:
            self._remark = "demo quality, English only"
        self._on_event(warning)
        if self._settings.session.translate is not None:
            message = "the embedded endpoint translates nothing: it marks each word with the language"
            self._on_event(Warned("no_translator", message))

    # -- one source ---------------------------------------------------------------------------------------------------

    async def send(self, source: NamedSource, handler_of: Callable[[str | None], EventHandler]) -> list[Summary]:
        """Run a source to its end, whatever the outcome. Cancellation ends it within two seconds, without a summary.

        Args:
            source: Not open yet.
            handler_of: Returns the event handler of the source (None), or of one of its channels.

        Returns:
            The summary of the source, or of each channel.
        """
        if not self._split:
            return [await self._run(self._job(source, source.open), handler_of(None))]
        from rt_cli.audio.split import Split

        split = Split(source.open)

        def warn(code: str, message: str) -> None:
            handler_of(None)(Warned(code, message))

        async with asyncio.TaskGroup() as tasks:
            split_task = tasks.create_task(split.run(self._plan.session.rate_hz, warn), name="split")
            sides = [
                tasks.create_task(self._run(self._job(source, side.open, channel), handler_of(channel)), name=channel)
                for channel, side in zip(SIDES, split.sides, strict=True)
            ]
            await asyncio.wait(sides)
            split_task.cancel()
        return [side.result() for side in sides]

    def _job(
        self, source: NamedSource, open_source: Callable[[int, Warn], Awaitable[Source]], channel: str | None = None
    ) -> Job:
        save_audio = self._settings.output.save_audio
        return Job(
            source.name,
            open_source,
            self._endpoint,
            self._plan.session,
            self._settings,
            negotiation=self._negotiation,
            spool=source.spool,
            resume=source.resume,
            save_audio=None if save_audio is None else of_channel(Path(save_audio), channel),
            bill=self._bill,
            wait_for_room=self._wait_for_room,
            count_unwritten=self._count_unwritten,
            on_translated_sound=self._on_translated_sound,
            witness=None
            if self._wire_recorder is None
            else partial(self._wire_recorder.connection, source=source.name),
        )

    async def _run(self, job: Job, on_event: EventHandler) -> Summary:
        streamer = Streamer(job, SystemClock(), on_event, progress=self._progress)
        self._start(streamer)
        summary = await streamer.run()
        self.error = streamer.error
        if summary.ledger.settled:
            self._last_settled_at = asyncio.get_running_loop().time()
        if job.spool is None and job.resume is None:
            self._running.remove(streamer)
        return summary

    def _start(self, streamer: Streamer) -> None:
        self._running.append(streamer)
        for exit_code in self._interrupts:
            streamer.interrupt(exit_code)
        if self._stdout_closed:
            streamer.hang_up()
        if len(self._running) >= self.sessions_each:
            commands, self._commands = self._commands, []
            for command in commands:
                self.obey(command)

    def _wait_for_room(self) -> bool:
        """Return whether to wait for room at the endpoint: other sessions of this run may end soon."""
        connected = sum(streamer.connected for streamer in self._running)
        since = asyncio.get_running_loop().time() - self._last_settled_at
        if connected and self._lower_limit(connected // self.sessions_each):
            self._on_event(Warned("no_room", f"the endpoint has no room: {connected} at once from here on"))
        # The endpoint has worked before, so this counts as an outage.
        return connected > 0 or since < auto.retry_for_s(self._settings.delivery.retry_for_s, live=False)

    # -- all sources --------------------------------------------------------------------------------------------------

    def interrupt(self, exit_code: int) -> None:
        """End capture and wait for open turns; the second time, close now. Later sources begin interrupted."""
        self._interrupts.append(exit_code)
        for streamer in self._running:
            streamer.interrupt(exit_code)

    def hang_up(self) -> None:
        """End without an error, because stdout is closed."""
        self._stdout_closed = True
        for streamer in self._running:
            streamer.hang_up()

    def obey(self, command: Command) -> None:
        """Apply a mute or push-to-talk command, as soon as each channel has a streamer."""
        if len(self._running) < self.sessions_each:
            self._commands.append(command)
            return
        for streamer in self._running:
            streamer.obey(command)

    def printed(self, turn: int) -> None:
        """Note that a final was printed. Thread-safe."""
        # Only a streamer with a spool uses this, and a run with a spool has one streamer.
        for streamer in self._running:
            streamer.printed(turn)

    async def close(self, *, printed: bool) -> None:
        """Close the spools, when the results are written.

        Args:
            printed: Whether all results are written; if not, the spools stay.
        """
        for streamer in self._running:
            await asyncio.to_thread(streamer.close, printed=printed)
