"""Everything that a run says: results to stdout, status to stderr, logs where they were asked for."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rt_cli.output.line_writer import LineWriter
from rt_cli.output.logs import Logs
from rt_cli.output.results.formats import make_results, tell
from rt_cli.output.results.saved_results import SavedResults
from rt_cli.output.results.source_order import InOrder
from rt_cli.output.results.source_output import SourceOutput
from rt_cli.output.results.write_receipts import CountedLines
from rt_cli.output.status.choose import make_status
from rt_cli.output.status.plain import PlainStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from rt_cli.events import Event, Label
    from rt_cli.output.line_writer import Written
    from rt_cli.output.results.formats import Results
    from rt_cli.output.results.ndjson import WriteLine
    from rt_cli.output.results.write_receipts import WriteReceipts
    from rt_cli.output.status.plain import Status
    from rt_cli.settings import OutputSettings

LAST_WORDS_S = 1.0
"""How long stderr may take at least; long enough for a live view that is just importing what it draws with."""
STATUS_PATIENCE_S = 2.0
"""How long a stderr that nobody reads may hold up the end of a run that has delivered its results."""


class Output:
    """Hands each event to the results on stdout and to the status on stderr.

    Args:
        results: Formats results for ``stdout``.
        status: What a person sees.
        stdout: Owns standard output.
        lines: What the results are written through.
        logs: Open until :meth:`close`.
        saving: Results in files; where those take the place of stdout, nothing is printed.
        prints_results: Whether results go through ``status``, because both streams are one terminal.
    """

    def __init__(
        self,
        results: Results,
        status: Status,
        stdout: LineWriter,
        lines: CountedLines,
        logs: Logs,
        saving: SavedResults,
        *,
        prints_results: bool,
    ) -> None:
        self._order = InOrder()
        self._results = results
        self._status = status
        self._stdout = stdout
        self._lines = lines
        self._logs = logs
        self._saving = saving
        self._prints_results = prints_results

    @property
    def failure(self) -> OSError | None:
        """Why results could not be written, other than that nobody reads them: a full disk, for one."""
        return self._stdout.failure or self._saving.failure

    @property
    def held_bytes(self) -> int:
        """About what results take that wait for those of earlier sources."""
        return self._order.held_bytes

    def place(self, name: str, channels: Sequence[str] = ()) -> SourceOutput:
        """The place of a source among the results: behind all that were made before it.

        Args:
            name: Of the source.
            channels: Which are told apart.
        """
        self._saving.begin(name, max(1, len(channels)))
        order = InOrder() if self._saving.apart else self._order
        return SourceOutput(name, channels, order, self._show, self._status.on_event)

    def on_event(self, event: Event) -> None:
        """Take an event that is of no source, or of the only one. Returns at once and never raises."""
        self._show(event)
        self._status.on_event(event)

    def _show(self, event: Event, label: Label | None = None, receipts: WriteReceipts | None = None) -> None:
        if self._saving.prints:
            self._lines.receipts = receipts
            tell(self._results, event, label)
            self._lines.receipts = None
        for warning in self._saving.on_event(event, label, receipts):
            self.on_event(warning)

    def close(self, deadline_s: float | None = None) -> bool:
        """Deliver what waits. Blocks, so call it when the event loop is done, or from a thread; idempotent.

        Args:
            deadline_s: Seconds that the reader of the results may take; None waits for ever. A status that only tells
                gets between one second and two: an error must be said, and no more than said.

        Returns:
            Whether all results were taken, or nobody wants them any more.
        """
        if not self._prints_results:
            taken = self._stdout.close(deadline_s)
            self._status.close(STATUS_PATIENCE_S if deadline_s is None else _clamp(deadline_s))
        else:
            # The status first: it hands over the results that it could not print.
            taken = self._status.close(None if deadline_s is None else max(deadline_s, LAST_WORDS_S))
            taken = self._stdout.close(deadline_s) and taken
        taken = self._saving.close(deadline_s) and taken
        self._logs.close(STATUS_PATIENCE_S)
        return taken


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
) -> Output:
    """Everything that a run says, as the settings want it.

    Args:
        settings: Format, partials, status, quiet, verbose, log file.
        many_sources: Whether NDJSON lines name their source.
        sources: The names of all, for the files of their results.
        crowd: How many sources or channels there are, if several run at once; else 0.
        on_stdout_closed: Called once, on another thread, when stdout is of no more use: pass something that uses
            ``call_soon_threadsafe``. ``Output.failure`` is None then if the reader simply left.
        stdout: ``sys.stdout``; None if it was closed before the start.
        stderr: ``sys.stderr``; likewise.
        environ: The environment.
        on_printed: Told the turn of each final that was printed, or saved in a file of its source, on any thread; must
            not raise.

    Raises:
        UsageError: A file that is to be written cannot be.
    """
    writer = LineWriter(stdout, on_broken=on_stdout_closed)

    def unprinted(line: str, written: Written) -> None:
        writer.write(line, written=written)

    status = make_status(settings, stderr=stderr, environ=environ, unprinted=unprinted, crowd=crowd)
    write_line: WriteLine = writer.write
    prints_results = False
    if not isinstance(status, PlainStatus) and _same_terminal(stdout, stderr):
        write_line, prints_results = status.result, True
    with ExitStack() as stack:
        stack.callback(status.close)
        stack.callback(writer.close)
        logs = Logs(settings, status.say)
        stack.callback(logs.close)
        saving = SavedResults(settings, sources, on_printed=on_printed)
        stack.pop_all()
    lines = CountedLines(write_line)
    results = make_results(
        settings.format,
        lines,
        partials=settings.partials,
        timestamps=settings.timestamps,
        many=many_sources,
        # A file that a crash cut short is written anew, and then needs what was on stdout, too.
        on_printed=None if saving.apart else on_printed,
    )
    return Output(results, status, writer, lines, logs, saving, prints_results=prints_results)


def _same_terminal(stdout: TextIO | None, stderr: TextIO | None) -> bool:
    """Whether results and status meet on one screen, where they must not tear each other."""
    if stdout is None or stderr is None or stdout.closed or not stdout.isatty():
        return False
    try:
        return os.fstat(stdout.fileno()).st_rdev == os.fstat(stderr.fileno()).st_rdev
    except (OSError, ValueError):
        return False


def _clamp(deadline_s: float) -> float:
    return min(max(deadline_s, LAST_WORDS_S), STATUS_PATIENCE_S)
