"""All outputs of a run: results to stdout or files, status to stderr, logs to stderr or a file."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.output.event_masking import mask_event
from rt_cli.output.line_writer import LineWriter
from rt_cli.output.logs import Logs
from rt_cli.output.repeated_warnings import RepeatedWarnings
from rt_cli.output.results.formats import dispatch, make_results
from rt_cli.output.results.saved_results import SavedResults
from rt_cli.output.results.source_order import SourceOrder
from rt_cli.output.results.source_output import SourceOutput, stamped
from rt_cli.output.results.words import words_of
from rt_cli.output.results.write_receipts import CountedLines, LostFinals
from rt_cli.output.status.choose import make_status
from rt_cli.output.status.plain import PlainStatus
from rt_cli.output.status.unconfirmed import Unconfirmed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from rt_cli.events import Event, Label
    from rt_cli.output.line_writer import OnWritten
    from rt_cli.output.results.formats import Results
    from rt_cli.output.results.ndjson import WriteLine
    from rt_cli.output.results.write_receipts import WriteReceipts
    from rt_cli.output.status.live import LiveStatus
    from rt_cli.output.status.plain import Status
    from rt_cli.settings import OutputSettings

STATUS_CLOSE_MIN_S = 1.0
"""Minimum time to close the status; long enough for a live view that is still importing Rich."""
STATUS_CLOSE_MAX_S = 2.0
"""Maximum time that a blocked stderr may delay the end of a run with delivered results."""


class Output:
    """Passes each event to the results (stdout, files) and to the status (stderr).

    Args:
        results: Formats results for ``stdout``.
        status: Status on stderr.
        stdout: Owns standard output.
        lines: Counts the result lines of each source.
        logs: Open until :meth:`close`.
        saved: Results in files; with ``--output-dir`` they replace stdout, except for NDJSON.
        status_prints_results: True if ``status`` prints the results, because both streams are one terminal.
        view: ``status``, if it is a live view.
        progress: True if the results have lines about the progress.
        wall: The wall clock, Unix time.
        with_filename: True if words on stdout begin with the name of their source.
        quiet: True if stderr has only what ends the run.
        labelled: True if there are several sources.
    """

    def __init__(
        self,
        results: Results,
        status: Status,
        stdout: LineWriter,
        lines: CountedLines,
        logs: Logs,
        saved: SavedResults,
        *,
        status_prints_results: bool,
        view: LiveStatus | None = None,
        progress: bool = False,
        wall: Callable[[], float] = time.time,
        with_filename: bool = False,
        quiet: bool = False,
        labelled: bool = False,
    ) -> None:
        self.view = view
        """The live view, if there is one."""
        self._unconfirmed = Unconfirmed()
        self._order = SourceOrder()
        self._warnings = RepeatedWarnings()
        self._results = results
        self._status = status
        self._stdout = stdout
        self._lines = lines
        self._logs = logs
        self._saved = saved
        self._with_filename = with_filename
        self._status_prints_results = status_prints_results
        self._progress = progress
        self._wall = wall
        self._quiet, self._labelled = quiet, labelled
        self._lost = LostFinals()

    @property
    def unwritten(self) -> int:
        """Number of finals with words that could not be written to stdout."""
        return self._lost.count

    def report_unwritten(self) -> None:
        """Print the finals that could not be written to stdout since the last call to stderr, each with its words."""
        for final, label in self._lost.take():
            where = f"{label}: " if self._labelled and label is not None else ""
            if not self._quiet:
                self._status.say(f"warning: {where}turn {final.turn} could not be written to stdout: {final.text}")

    def flush(self, deadline_s: float) -> bool:
        """Wait until no result waits for its reader; results of later sources may still be held. Blocks.

        Args:
            deadline_s: Maximum time, seconds.

        Returns:
            True if none waits.
        """
        return self._stdout.flush(deadline_s)

    def give_up(self) -> None:
        """Wait no longer for the reader of stdout: what it has not read is lost, and is reported."""
        self._stdout.give_up()
        self.report_unwritten()

    @property
    def failure(self) -> OSError | None:
        """The error of a failed write of results, for example a full disk; None if the reader closed stdout."""
        return self._stdout.failure or self._saved.failure

    @property
    def wants_progress(self) -> bool:
        """Whether anything is done with events about the progress."""
        return self._progress or self._status.shows_progress

    @property
    def held_bytes(self) -> int:
        """Approximate memory of results that wait for those of earlier sources."""
        return self._order.held_bytes

    def place(self, name: str, channels: Sequence[str] = ()) -> SourceOutput:
        """Create the output of a source. Its results come after those of all earlier sources.

        Args:
            name: Name of the source.
            channels: Channels that are transcribed separately.
        """
        self._saved.begin(name, max(1, len(channels)))
        order = SourceOrder() if self._saved.per_source else self._order
        return SourceOutput(name, channels, order, self._write_result, self._on_status, self._wall)

    def on_event(self, event: Event) -> None:
        """Handle an event of the run, or of its only source. Returns at once and never raises."""
        for each in self._warnings.take(mask_event(event)):
            event = stamped(each, self._wall())
            self._write_result(event)
            self._on_status(event)

    def report_unconfirmed(self, *, labelled: bool) -> None:
        """Print the words that no final has confirmed to stderr: the run does not wait for their finals.

        Args:
            labelled: Whether each line names its source.
        """
        for line in self._unconfirmed.lines(labelled=labelled):
            self._status.say(line)

    def _on_status(self, event: Event, label: Label | None = None) -> None:
        self._unconfirmed.take(event, label)
        self._status.on_event(event, label)

    def _write_result(self, event: Event, label: Label | None = None, receipts: WriteReceipts | None = None) -> None:
        if self._saved.uses_stdout:
            final = event if isinstance(event, self._results.words) and event.text.strip() else None
            self._lines.receipts = receipts
            self._lines.on_lost = None if final is None else partial(self._lost.add, final, label)
            dispatch(self._results, event, label, with_filename=self._with_filename)
            self._lines.receipts = self._lines.on_lost = None
            self.report_unwritten()
        for warning in self._saved.on_event(event, label, receipts):
            self.on_event(warning)

    def close(self, deadline_s: float | None = None) -> bool:
        """Write everything that waits. Blocks: call it after the event loop or from a thread. Idempotent.

        Args:
            deadline_s: Maximum time for the results, seconds; None waits without limit. A status that prints no results
                gets one to two seconds: enough to print an error.

        Returns:
            True if all results were written, or their reader has closed the stream.
        """
        if not self._status_prints_results:
            delivered = self._stdout.close(deadline_s)
            self.report_unwritten()
            self._status.close(STATUS_CLOSE_MAX_S if deadline_s is None else _clamp(deadline_s))
        else:
            # Close the status first: it passes the results that it could not print to stdout.
            delivered = self._status.close(None if deadline_s is None else max(deadline_s, STATUS_CLOSE_MIN_S))
            delivered = self._stdout.close(deadline_s) and delivered
        delivered = self._saved.close(deadline_s) and delivered
        self._logs.close(STATUS_CLOSE_MAX_S)
        return delivered


def make_output(
    settings: OutputSettings,
    *,
    many_sources: bool,
    sources: Sequence[str] = (),
    crowd: int = 0,
    on_stdout_closed: Callable[[], None],
    stdout: TextIO | None,
    stderr: TextIO | None,
    environ: Mapping[str, str],
    on_printed: Callable[[int], None] | None = None,
    process: str = "",
    wall: Callable[[], float] = time.time,
) -> Output:
    """Create the outputs of a run.

    Args:
        settings: Format, partials, status, quiet, verbose, log file.
        many_sources: True if NDJSON lines name their source.
        sources: Names of all sources, for the files of their results.
        crowd: Number of sources or channels that run at the same time; 0 for a single one.
        on_stdout_closed: Called once, on another thread, when stdout is closed or has failed: use
            ``call_soon_threadsafe``. ``Output.failure`` is None if the reader closed it.
        stdout: ``sys.stdout``; None if it was closed before the start.
        stderr: ``sys.stderr``; likewise.
        environ: The environment.
        on_printed: Called with the turn of each final that was printed, or saved in the file of its source; on any
            thread; must not raise.
        process: Name of this process, if others may write the file of a source, too.
        wall: The wall clock, Unix time.

    Raises:
        UsageError: An output file cannot be written.
    """
    writer = LineWriter(stdout, on_broken=on_stdout_closed)

    def write_to_stdout(line: str, on_written: OnWritten) -> None:
        writer.write(line, on_written=on_written)

    status = make_status(
        settings,
        stdout=stdout,
        stderr=stderr,
        environ=environ,
        on_unprinted=write_to_stdout,
        source_count=crowd,
    )
    write_line: WriteLine = writer.write
    prints_results = False
    view = None if isinstance(status, PlainStatus) else status
    if view is not None and _same_terminal(stdout, stderr):
        write_line, prints_results = view.result, True
    with ExitStack() as stack:
        stack.callback(status.close)
        stack.callback(writer.close)
        logs = Logs(settings, status.say)
        stack.callback(logs.close)
        saved = SavedResults(settings, sources, on_printed=on_printed, writer=process)
        stack.pop_all()
    lines = CountedLines(write_line)
    results = make_results(
        settings.format,
        lines,
        partials=settings.partials,
        timestamps=settings.timestamps,
        many=many_sources or settings.with_filename,
        progress_s=settings.progress_s,
        raw=settings.raw,
        words=words_of(settings, settings.format),
        # After a crash the file of a source is written again, and needs the finals that stdout already had.
        on_printed=None if saved.per_source else on_printed,
    )
    return Output(
        results,
        status,
        writer,
        lines,
        logs,
        saved,
        status_prints_results=prints_results,
        view=view,
        progress=settings.progress_s is not None,
        wall=wall,
        with_filename=settings.with_filename,
        quiet=settings.quiet,
        labelled=many_sources or crowd > 0,
    )


def _same_terminal(stdout: TextIO | None, stderr: TextIO | None) -> bool:
    """Return whether results and status share one terminal, so that one thread must write both."""
    if stdout is None or stderr is None or stdout.closed or not stdout.isatty():
        return False
    try:
        return os.fstat(stdout.fileno()).st_rdev == os.fstat(stderr.fileno()).st_rdev
    except (OSError, ValueError):
        return False


def _clamp(deadline_s: float) -> float:
    return min(max(deadline_s, STATUS_CLOSE_MIN_S), STATUS_CLOSE_MAX_S)
