"""One call of ``rt talk``: endpoint, sources, files, tools, output, exit code."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.audio.format import to_samples
from rt_cli.clock import SystemClock
from rt_cli.conversation_events import LatencyMeasured, ReplyEnded
from rt_cli.errors import (
    EXIT_OK,
    EXIT_UNEXPECTED,
    AudioError,
    RtError,
    UsageError,
    unexpected,
    worst_exit,
)
from rt_cli.events import EndpointChosen, Errored, Final, Noted, Summary, Warned, error_event
from rt_cli.output.output import make_output
from rt_cli.output.results.source_output import stamped
from rt_cli.protocol.sanitize import printable
from rt_cli.run.interrupts import call_soon
from rt_cli.run.open_endpoint import open_endpoint
from rt_cli.run.record_option import check_outputs, open_wire_recorder
from rt_cli.run.sources import file_source, microphone_source
from rt_cli.run.totals import unopened_summary
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer
from rt_cli.talk.conversation import hold, reply_errors
from rt_cli.talk.expectations.junit import JunitFile, junit_xml
from rt_cli.talk.heard_files import BothSides, RepliesFile, RepliesStream
from rt_cli.talk.partner import Partner
from rt_cli.talk.position import Position
from rt_cli.talk.talk_plan import embedded_replier, plan_talk, talk_settings, with_model_of_url
from rt_cli.talk.tools.tool_set import ToolSet
from rt_cli.talk.user.inputs import read_utterances
from rt_cli.talk.user.script import GRID_MS, TalkScript
from rt_cli.talk.user.talk_source import ContinuedSource, ScriptedSource, SilentSource
from rt_cli.talk.user.typed_lines import GivenLines, LineSource, TypedLines
from rt_cli.talk.user.typist import Typist

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rt_cli.audio.source import Source, Warn
    from rt_cli.events import Event
    from rt_cli.protocol.conversation.playback import Heard
    from rt_cli.run.interrupts import Interrupts
    from rt_cli.run.plan import Plan
    from rt_cli.settings import Settings
    from rt_cli.talk.expectations.expectations import ExpectationResult
    from rt_cli.talk.heard_files import HeardFile
    from rt_cli.talk.mcp.servers import McpServers
    from rt_cli.talk.talk_options import TalkOptions

_LAST_LINES_S = 0.3


class TalkRun:
    """One conversation.

    Args:
        settings: Of the run.
        options: What is no setting.

    Raises:
        UsageError: Settings or options that contradict each other, or a file that cannot be used.
    """

    def __init__(self, settings: Settings, options: TalkOptions) -> None:
        types = not (options.inputs or options.mic or options.lines)
        at_terminal = types and _is_terminal(sys.stdin) and _is_terminal(sys.stderr)
        self._settings = settings = talk_settings(settings, at_terminal=at_terminal)
        self._options = options
        self._tools = ToolSet(options.tools, settings.talk.tool_timeout_s)
        check_outputs(settings.output, options.inputs, options.outputs)
        self._plan = _plan_or_error(settings, self._tools)
        self._name = ", ".join(options.inputs) or ("microphone" if options.mic else "typed")
        self._files: list[HeardFile] = []
        self._streamer: Streamer | None = None
        self._mcp: McpServers | None = None
        self._script: TalkScript | None = None
        self._partner: Partner | None = None
        self._causes: list[RtError] = []
        """Errors of the stream."""
        self._xml: bytes | None = None
        """The report of the expectations."""
        self._report_file: JunitFile | None = None
        self._replies: list[ReplyEnded] = []
        self._latencies: list[LatencyMeasured] = []
        self._exit_code = EXIT_OK
        self._stdout_closed = False
        self._concluded = False
        """The summary is written: nothing follows it."""

    async def run(self, interrupts: Interrupts) -> int:
        """Hold the conversation. Interrupts end it; cancellation ends it without a summary.

        Raises:
            UsageError: The results or the report could not be written.
        """
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._interrupts = interrupts
        self._output = make_output(
            self._settings.output,
            many_sources=False,
            sources=[self._name],
            on_stdout_closed=partial(call_soon, loop, self._on_stdout_closed),
            stdout=None if self._options.output_audio == "-" else sys.stdout,
            stderr=sys.stderr,
            environ=os.environ,
        )
        if self._output.view is not None:
            interrupts.terminal_users.append(self._output.view)
        interrupts.subscribe(self._interrupt)
        late: RtError | None = None
        try:
            async with AsyncExitStack() as stack:
                await self._hold(stack)
        except Exception as exc:  # noqa: BLE001 - the summary follows a bug, too
            error = exc if isinstance(exc, RtError) else unexpected(exc)
            late = error if self._concluded else None
            if late is None:
                self._fail(error)
        finally:
            while not await asyncio.to_thread(self._output.close, _LAST_LINES_S):
                if self._interrupts.hurried:
                    break
        await self._write_report()
        if late is not None:
            raise late
        if self._output.failure is not None:
            name = printable(self._output.failure.filename or "the results")
            raise UsageError(f"cannot write {name}: {self._output.failure.strerror}", "make room, or write elsewhere")
        return EXIT_OK if self._stdout_closed else self._exit_code

    async def _hold(self, stack: AsyncExitStack) -> None:
        if (path := self._options.junit) is not None:
            self._report_file = await asyncio.to_thread(JunitFile, path, replace=self._settings.output.force)
        if isinstance(self._plan, RtError):
            raise self._plan
        settings = self._settings
        plan = await self._with_mcp_tools(self._plan, stack)
        position = Position(SystemClock(), plan.session.rate_hz, settings.delivery.speed or 1.0)
        self._script = script = await self._make_script(plan)
        for name in await asyncio.to_thread(self._tools.never_allowed):
            self._warn("no_terminal", f"the tool {name} will not be run: there is no terminal to ask at before")
        recorder = open_wire_recorder(settings.output, self._output.on_event)
        if recorder is not None:
            stack.push_async_callback(asyncio.to_thread, recorder.close)
        await self._open_files(stack, plan.session.rate_hz)
        replier = await stack.enter_async_context(embedded_replier(plan, verbatim=self._options.said is not None))
        endpoint = await open_endpoint(settings, plan, stack, on_embedded=self._on_embedded, replier=replier)
        endpoint = with_model_of_url(endpoint)
        where = "embedded" if endpoint.embedded else endpoint.host
        self._output.on_event(EndpointChosen(where, endpoint.model, plan.choice.reason))
        self._partner = partner = Partner(
            position,
            self._report,
            plan.session,
            run_tool=self._tools.start,
            on_heard=self._on_heard,
            speech_end_before=script.speech_end_before,
        )
        job = Job(
            self._name,
            partial(self._open_source, partner, position),
            endpoint,
            plan.session,
            settings,
            conversation=partner,
            witness=None if recorder is None else partial(recorder.connection, source=self._name),
        )
        self._streamer = Streamer(job, SystemClock(), self._take, progress=self._output.wants_progress)
        if self._interrupts.codes:
            self._streamer.interrupt(self._interrupts.codes[0])
        self._tools.on_failed = partial(self._warn, "tool_failed")
        await hold(self._streamer, partner, self._tools)
        if recorder is not None and recorder.error is not None:
            raise recorder.error

    # -- parts --------------------------------------------------------------------------------------------------------

    async def _with_mcp_tools(self, plan: Plan, stack: AsyncExitStack) -> Plan:
        """Start the servers, and return the plan with their tools."""
        options = self._options
        if not options.mcp_servers:
            return plan
        # Import here: it takes longer than all the rest of the start. In a thread: it would block the loop.
        servers = await asyncio.to_thread(importlib.import_module, "rt_cli.talk.mcp.servers")
        opened = servers.open_servers(options.mcp_servers, plan.key, self._output.on_event)
        self._mcp = mcp = await stack.enter_async_context(opened)
        if self._interrupts.codes:
            mcp.stop()
        await mcp.offer(self._tools)
        if not self._interrupts.codes:
            self._tools.check_names(options.expectations.tools)
        return plan_talk(self._settings, os.environ, self._tools.declarations, key=plan.key)

    async def _make_script(self, plan: Plan) -> TalkScript:
        rate_hz, options = plan.session.rate_hz, self._options
        names = [] if options.inputs == ("-",) else options.inputs
        utterances = await read_utterances(names, self._settings.input, rate_hz, self._warn)
        interrupt_at = None if options.interrupt_at_s is None else round(options.interrupt_at_s * rate_hz)
        grid = to_samples(GRID_MS, rate_hz)
        return TalkScript(utterances, patience=self._patience(rate_hz), interrupt_at=interrupt_at, grid=grid)

    async def _open_files(self, stack: AsyncExitStack, rate_hz: int) -> None:
        options, replace_files = self._options, self._settings.output.force
        on_event = self._output.on_event
        if options.output_audio == "-":
            loop = asyncio.get_running_loop()
            self._files.append(RepliesStream(rate_hz, partial(call_soon, loop, self._on_stdout_closed)))
        elif options.output_audio is not None:
            path = Path(options.output_audio)
            make = partial(RepliesFile, path, rate_hz, on_event, replace=replace_files)
            self._files.append(await asyncio.to_thread(make))
        if options.record_both is not None:
            both = partial(BothSides, options.record_both, rate_hz, on_event, replace=replace_files)
            self._files.append(await asyncio.to_thread(both))
        for file in self._files:
            stack.push_async_callback(self._close_file, file)

    async def _close_file(self, file: HeardFile) -> None:
        await asyncio.to_thread(file.close)
        if file.error is not None:
            raise file.error

    async def _open_source(self, partner: Partner, position: Position, rate_hz: int, warn: Warn) -> Source:
        options, settings = self._options, self._settings.input
        assert self._script is not None  # noqa: S101 - made before
        if options.mic:
            retry_for_s = self._settings.delivery.retry_for_s
            microphone = await microphone_source(settings, retry_for_s=retry_for_s).open(rate_hz, warn)
            return ContinuedSource(microphone, self._script, partner, position, partner.ready, self._on_sound)
        if options.inputs == ("-",):
            pipe = await file_source("-", settings).open(rate_hz, warn)
            return ContinuedSource(pipe, self._script, partner, position, partner.ready, self._on_sound)
        if options.inputs:
            return ScriptedSource(self._name, self._script, partner, position, partner.ready, self._on_sound)
        return SilentSource(self._typist(partner, position).next, position, partner.ready)

    def _typist(self, partner: Partner, position: Position) -> Typist:
        assert self._script is not None  # noqa: S101 - made before
        given = self._options.lines
        if not given and (sys.stdin is None or sys.stdin.closed):
            raise AudioError("stdin is closed", "type, or give --input, --mic or -", code="no_stdin")
        lines: LineSource = GivenLines(given) if given else TypedLines(sys.stdin.buffer)
        if isinstance(lines, TypedLines) and lines.interactive:
            self._tools.confirmer.next_line = lines.next_line
            self._output.on_event(Noted("type, and press Enter; Ctrl-D ends"))
        return Typist(
            lines,
            partner,
            position,
            patience=self._patience(position.rate_hz),
            unanswered=self._script.unanswered,
            said=self._options.said,
        )

    def _patience(self, rate_hz: int) -> int:
        """Return the longest wait for a reply, in samples of the timeline."""
        return round(self._settings.talk.reply_timeout_s * (self._settings.delivery.speed or 1.0) * rate_hz)

    async def _write_report(self) -> None:
        if self._report_file is not None:
            seconds = asyncio.get_running_loop().time() - self._began
            xml = self._xml or junit_xml(self._name, [], self._causes, seconds)
            await asyncio.to_thread(self._report_file.write, xml)

    # -- events -------------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        """Take an event of the stream, with the time at which it happened: the partner may hold it."""
        if self._partner is not None:
            self._partner.on_event(stamped(event, time.time()))

    def _report(self, event: Event) -> None:
        if isinstance(event, ReplyEnded):
            self._replies.append(event)
        elif isinstance(event, LatencyMeasured):
            self._latencies.append(event)
        elif isinstance(event, Errored):
            self._causes.append(RtError(event.message, event.hint or None, code=event.code))
        if isinstance(event, Summary):
            event = self._conclude(event)
        elif isinstance(event, Final) and self._settings.output.format == "text":
            event = Noted(f"you: {printable(event.text)}")
        self._output.on_event(event)

    def _conclude(self, summary: Summary) -> Summary:
        checks = self._options.expectations.checks(self._replies, self._tools.called, self._latencies)
        errors = [*self._errors(), *(_unmet(check) for check in checks if check.problem is not None)]
        for error in errors:
            self._output.on_event(error_event(error))
        self._xml = junit_xml(self._name, checks, [*self._causes, *self._errors()], summary.wall_ms / 1000)
        self._concluded = True
        codes = [summary.exit, *(error.exit_code for error in errors)]
        self._exit_code = worst_exit(codes)
        return replace(summary, exit=self._exit_code)

    def _errors(self) -> list[RtError]:
        """Return what is wrong with the replies."""
        if self._partner is None or self._interrupts.codes or self._stdout_closed:
            return []
        unanswered = self._script.unanswered if self._script is not None else []
        errors = list(reply_errors(self._partner.dialogue, unanswered))
        return errors + [file.error for file in self._files if file.error is not None]

    def _fail(self, error: RtError) -> None:
        """Report an error that kept the conversation from being held, and a summary."""
        self._causes.append(error)
        self._output.on_event(error_event(error))
        self._exit_code = worst_exit([self._exit_code, error.exit_code])
        wall_ms = round((asyncio.get_running_loop().time() - self._began) * 1000)
        self._output.on_event(unopened_summary(self._name, self._exit_code, wall_ms))

    def _on_embedded(self, warning: Warned, _sessions: int) -> None:
        self._output.on_event(warning)

    def _warn(self, code: str, message: str) -> None:
        self._output.on_event(Warned(code, message))

    def _on_sound(self, at: int, pcm: bytes) -> None:
        for file in self._files:
            file.sound(at, pcm)

    def _on_heard(self, pieces: Sequence[Heard], upto: int) -> None:
        for file in self._files:
            file.heard(pieces, upto)

    # -- signals ------------------------------------------------------------------------------------------------------

    def _interrupt(self, exit_code: int) -> None:
        if self._mcp is not None and self._streamer is None:
            self._mcp.stop()
        if self._streamer is not None:
            self._streamer.interrupt(exit_code)

    def _on_stdout_closed(self) -> None:
        self._stdout_closed = True
        if self._streamer is not None:
            self._streamer.hang_up()


def _plan_or_error(settings: Settings, tools: ToolSet) -> Plan | RtError:
    """Return the plan, or the error that keeps the conversation from being held. Raises UsageError."""
    try:
        return plan_talk(settings, os.environ, tools.declarations)
    except UsageError:
        raise
    except RtError as exc:
        return exc


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _unmet(check: ExpectationResult) -> RtError:
    error = RtError(f"{check.name}: {check.problem}", code="expectation")
    error.exit_code = EXIT_UNEXPECTED
    return error
