"""Results in files: a transcript in addition to stdout, or a file, or one per source, instead of stdout."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from rt_cli.disk.outfile import cannot_write, prepare_folder
from rt_cli.disk.serial_thread import SerialThread
from rt_cli.errors import UsageError
from rt_cli.events import Summary, Warned
from rt_cli.output.results.result_file import ResultFile
from rt_cli.output.results.words import words_of
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.events import Event, Label
    from rt_cli.output.results.write_receipts import WriteReceipts
    from rt_cli.settings import OutputFormat, OutputSettings

EXTENSIONS: dict[OutputFormat, str] = {"text": ".txt", "srt": ".srt", "vtt": ".vtt", "json": ".jsonl"}
"""Extensions in ``--output-dir``; a transcript may also have ``.json`` or no extension."""


@dataclass(slots=True)
class _Source:
    """A source that has not ended.

    Args:
        file: File of its results.
        channels: Number of its channels that have not ended.
        complete: True if all ended channels were complete.
    """

    file: ResultFile
    channels: int
    complete: bool = True


class SavedResults:
    """The result files of a run.

    Args:
        settings: ``output``, ``save_transcript``, ``output_dir``, ``format``, ``force``.
        sources: Names of all sources.
        on_printed: Called with the turn of each final in the file of its source, on any thread.
        writer: Name of this process, if others may write the file of a source, too.

    Raises:
        UsageError: A file cannot be written, or the settings contradict each other.
    """

    def __init__(
        self,
        settings: OutputSettings,
        sources: Sequence[str],
        *,
        on_printed: Callable[[int], None] | None = None,
        writer: str = "",
    ) -> None:
        check(settings, len(sources))
        self._writer = writer
        self._settings = settings
        self._on_printed = on_printed
        self._failures: list[OSError] = []
        self._reported = 0
        self._disk: SerialThread | None = None
        self._sources: dict[str, _Source] = {}
        self._paths = _paths(settings, sources)
        self._transcripts: list[ResultFile] = []
        self._open_transcripts()

    @property
    def uses_stdout(self) -> bool:
        """Whether results also go to stdout; beside a folder of files, NDJSON does."""
        return self._settings.output is None and (self._settings.output_dir is None or self._settings.format == "json")

    @property
    def per_source(self) -> bool:
        """Whether each source has its own file, so that its results need not wait for those of earlier sources."""
        return self._settings.output_dir is not None

    @property
    def failure(self) -> OSError | None:
        """The first error of a file, with the file name; None without an error."""
        return self._failures[0] if self._failures else None

    def begin(self, source: str, channels: int = 1) -> None:
        """Begin a source with this number of separate channels."""
        if source in self._paths:
            file = self._file(self._paths[source], self._settings.format, instead_of_stdout=True, atomic=True)
            self._sources[source] = _Source(file, channels)

    def on_event(self, event: Event, label: Label | None = None, receipts: WriteReceipts | None = None) -> list[Warned]:
        """Save an event that belongs into the results. Returns at once and never raises.

        Args:
            event: The event.
            label: Its source; None for an event of the run.
            receipts: Counter for the lines of the source.

        Returns:
            One warning per failed file; the run continues without that file.
        """
        for transcript in self._transcripts:
            transcript.on_event(event, label, receipts)
        if label is not None and label.source in self._sources:
            self._save(self._sources[label.source], event, label, receipts)
        reported, self._reported = self._reported, len(self._failures)
        return [
            Warned("save_failed", f"{failure.filename} takes no more results: {failure.strerror}")
            for failure in self._failures[reported : self._reported]
        ]

    def close(self, deadline_s: float | None = None) -> bool:
        """Write everything that waits. Blocks; idempotent.

        Returns:
            False if it takes longer than ``deadline_s``.
        """
        if self._disk is None:
            return True
        for file in (*(source.file for source in self._sources.values()), *self._transcripts):
            file.end(complete=False)
        self._sources.clear()
        self._transcripts.clear()
        return self._disk.close(deadline_s)

    def _save(self, source: _Source, event: Event, label: Label, receipts: WriteReceipts | None) -> None:
        if isinstance(event, Summary) and event.skipped:
            del self._sources[label.source]  # keep the file of the earlier run
            return
        source.file.on_event(event, label, receipts)
        if isinstance(event, Summary):
            source.channels -= 1
            source.complete = source.complete and event.complete
            if source.channels == 0:
                source.file.end(complete=source.complete)
                del self._sources[label.source]

    def _open_transcripts(self) -> None:
        """Open the files that are not named after their source. Raises UsageError, with none of them open."""
        files = []
        if self._settings.output is not None:
            files.append(self._file(Path(self._settings.output), self._settings.format, instead_of_stdout=True))
        if self._settings.save_transcript is not None:
            path = Path(self._settings.save_transcript)
            files.append(self._file(path, format_of(path)))
        try:
            for file in files:
                file.open(replace=self._settings.force)
                self._transcripts.append(file)
        except UsageError:
            self.close()
            raise

    def _file(
        self, path: Path, kind: OutputFormat, *, instead_of_stdout: bool = False, atomic: bool = False
    ) -> ResultFile:
        self._disk = self._disk or SerialThread("rt-saving")
        return ResultFile(
            path,
            kind,
            self._disk,
            timestamps=self._settings.timestamps,
            on_failed=self._failures.append,
            on_printed=self._on_printed if instead_of_stdout else None,
            atomic=atomic,
            writer=self._writer,
            with_filename=self._settings.with_filename,
            words=words_of(self._settings, kind),
        )


def check(settings: OutputSettings, sources: int) -> None:
    """Refuse settings that would put several sources into one file.

    Args:
        settings: Settings of the output.
        sources: Number of sources.

    Raises:
        UsageError: Captions, ``output``, ``save_transcript`` or ``save_audio`` with several sources; or ``output`` and
            ``output_dir``.
    """
    if settings.output is not None and settings.output_dir is not None:
        raise UsageError("both --output FILE and --output-dir", "give one of them, and --format for the folder")
    if sources <= 1:
        return
    hint = "--output-dir DIR writes a file for each source"
    if settings.output_dir is None and settings.format in ("srt", "vtt"):
        raise UsageError(f"{settings.format} captions are of one source, not {sources}", hint)
    if settings.output is not None:
        raise UsageError(f"--output {printable(settings.output)} is for one source, not {sources}", hint)
    if settings.save_transcript is not None:
        raise UsageError(f"--save-transcript is for one source, not {sources}", hint)
    if settings.save_audio is not None:
        raise UsageError(f"--save-audio is for one source, not {sources}", "save one at a time")


def format_of(path: PurePath) -> OutputFormat:
    """Return the format for the extension of a transcript; text without an extension.

    Raises:
        UsageError: An unknown extension.
    """
    extension = path.suffix.lower()
    known: dict[str, OutputFormat] = {name: kind for kind, name in EXTENSIONS.items()} | {"": "text", ".json": "json"}
    if extension not in known:
        message = f"--save-transcript: no format is called {printable(extension)}"
        raise UsageError(message, "use .txt, .srt, .vtt, .json or .jsonl")
    return known[extension]


def file_name(source: str, kind: OutputFormat) -> str:
    """Return the file name for a source: its stem plus the extension of the format; ``stdin`` for ``-``."""
    return ("stdin" if source == "-" else PurePath(source).stem) + EXTENSIONS[kind]


def result_path(settings: OutputSettings, source: str) -> Path | None:
    """Return the result file of a source in the folder of the results; None without such a folder."""
    return None if settings.output_dir is None else Path(settings.output_dir) / file_name(source, settings.format)


def _paths(settings: OutputSettings, sources: Sequence[str]) -> dict[str, Path]:
    """Return the path of each source's file by source name."""
    if settings.output_dir is None:
        return {}
    folder = Path(settings.output_dir)
    owners: dict[str, str] = {}
    for source in sources:
        name = file_name(source, settings.format)
        key = name.casefold()  # some file systems ignore case
        if key in owners:
            message = f"the results of {owners[key]} and {source} would both be in {name}"
            raise UsageError(printable(message), "send them into different folders")
        owners[key] = source
    prepare_folder(folder)
    paths = {source: folder / file_name(source, settings.format) for source in sources}
    for path in paths.values():
        _check_name(path)
    return paths


def _check_name(path: Path) -> None:
    """Raise UsageError if no file can have this path: the name is too long, or is that of a folder."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.lstat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as exc:
        raise cannot_write(path, exc, hint="give the source another name, or save elsewhere") from exc
