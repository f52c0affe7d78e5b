"""Results in files."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from rt_cli.errors import UsageError
from rt_cli.events import Final, Label, Ledger, Warned
from rt_cli.output.results.result_file import part_path
from rt_cli.output.results.saved_results import SavedResults, check, file_name, format_of
from rt_cli.output.results.write_receipts import WriteReceipts
from rt_cli.settings import OutputSettings
from tests.summaries import summary_of

if TYPE_CHECKING:
    from pathlib import Path

    from rt_cli.settings import OutputFormat

DEADLINE_S = 10.0
DONE = summary_of(
    "a.wav", 0, complete=True, rate_hz=24_000, ledger=Ledger(0, 0, 0, 0, 0, 0, 0), finals=1, reconnects=0, wall_ms=1
)
A, B = Label("x/a.wav"), Label("x/b.wav")


class Run:
    """The saved results of a run.

    Args:
        settings: Settings of the output.
        sources: Names of the sources.
    """

    def __init__(self, settings: OutputSettings, *sources: str, writer: str = "") -> None:
        self.printed: list[int] = []
        self.saved = SavedResults(settings, sources, on_printed=self.printed.append, writer=writer)

    def ended(self) -> Run:
        """Write everything that waits."""
        assert self.saved.close(DEADLINE_S)
        return self


def files(folder: Path) -> dict[str, str]:
    """Return the files of a folder with their contents."""
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("t.txt", "hello\nbye\n"),
        ("t", "hello\nbye\n"),
        ("t.SRT", "1\n00:00:00,500 --> 00:00:01,500\nhello\n\n2\n00:00:02,000 --> 00:00:03,000\nbye\n\n"),
        ("t.vtt", "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nhello\n\n00:00:02.000 --> 00:00:03.000\nbye\n\n"),
    ],
)
def test_a_transcript_in_the_format_of_its_name(tmp_path: Path, name: str, expected: str) -> None:
    """The extension selects the format, independent of stdout."""
    run = Run(OutputSettings(format="json", save_transcript=str(tmp_path / name)), "a.wav")
    run.saved.on_event(Final(1, "hello", 500, 1_000), Label("a.wav"))
    run.saved.on_event(Final(2, "bye", 2_000, 2_500), Label("a.wav"))
    run.ended()

    assert files(tmp_path) == {name: expected}
    assert run.saved.uses_stdout
    assert run.printed == []  # stdout reports them


@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
def test_a_transcript_as_ndjson(tmp_path: Path, name: str) -> None:
    """The file has the same lines as --json."""
    run = Run(OutputSettings(save_transcript=str(tmp_path / name)), "a.wav")
    for event in (Final(1, "hello", 500, 1_000), DONE):
        run.saved.on_event(event, Label("a.wav"))
    run.ended()

    assert [json.loads(line)["type"] for line in (tmp_path / name).read_text().splitlines()] == ["final", "summary"]


def test_a_line_is_in_the_file_before_it_counts_as_written(tmp_path: Path) -> None:
    """A reader of the file sees the line during the run."""
    path = tmp_path / "t.txt"
    run = Run(OutputSettings(save_transcript=str(path)), "a.wav")
    receipts = WriteReceipts()
    run.saved.on_event(Final(1, "hello"), Label("a.wav"), receipts)
    seen: list[str] = []
    receipts.close(lambda: seen.append(path.read_text()))
    run.ended()

    assert seen == ["hello\n"]


def test_timestamps_and_channels_are_in_the_files(tmp_path: Path) -> None:
    """Lines have the same times and channels as on stdout."""
    run = Run(OutputSettings(save_transcript=str(tmp_path / "t.txt"), timestamps=True), "a.wav")
    run.saved.on_event(Final(1, "hello", 500, 1_000), Label("a.wav", "left"))
    run.saved.on_event(Final(1, " ", 500, 1_000), Label("a.wav", "right"))
    run.ended()

    assert files(tmp_path) == {"t.txt": "[00:00:00.500] left: hello\n"}


@pytest.mark.parametrize(
    ("format_", "name"), [("text", "a.txt"), ("srt", "a.srt"), ("vtt", "a.vtt"), ("json", "a.jsonl")]
)
def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path, format_: OutputFormat, name: str) -> None:
    """Until then it ends in .part; its finals count as printed only when it is complete."""
    run = Run(OutputSettings(format=format_, output_dir=str(tmp_path / "new")), "x/a.wav")
    receipts = WriteReceipts()
    run.saved.begin("x/a.wav")
    run.saved.on_event(Final(7, "hello", 0, 1_000), A, receipts)
    run.saved.on_event(DONE, A, receipts)
    seen: list[list[str]] = []
    receipts.close(lambda: seen.append([path.name for path in (tmp_path / "new").iterdir()]))
    run.ended()

    assert seen == [[name]]
    assert "hello" in files(tmp_path / "new")[name]
    assert (run.saved.uses_stdout, run.printed) == (format_ == "json", [7])


def test_an_incomplete_file_keeps_the_part_suffix(tmp_path: Path) -> None:
    """The complete result of an earlier run stays unchanged."""
    (tmp_path / "a.txt").write_text("earlier\n")
    (tmp_path / "a.txt.part").write_text("much more of an earlier try\n")
    run = Run(OutputSettings(output_dir=str(tmp_path)), "x/a.wav", "x/b.wav")
    run.saved.begin("x/a.wav")
    run.saved.begin("x/b.wav")
    run.saved.on_event(Final(1, "half"), A)
    run.saved.on_event(Final(1, "cut off"), B)
    run.saved.on_event(replace(DONE, exit=7, complete=False), A)
    run.ended()

    assert files(tmp_path) == {"a.txt": "earlier\n", "a.txt.part": "half\n", "b.txt.part": "cut off\n"}


def test_a_result_without_words_is_a_file(tmp_path: Path) -> None:
    """An empty result is a file too, and replaces an older one."""
    (tmp_path / "a.txt").write_text("earlier\n")
    run = Run(OutputSettings(output_dir=str(tmp_path)), "x/a.wav")
    run.saved.begin("x/a.wav")
    run.saved.on_event(DONE, A)
    run.ended()

    assert files(tmp_path) == {"a.txt": ""}


def test_a_file_is_complete_when_all_channels_are(tmp_path: Path) -> None:
    """The file is complete when the last channel ends, and only if all channels were complete."""
    run = Run(OutputSettings(output_dir=str(tmp_path)), "x/a.wav", "x/b.wav")
    for label in (A, B):
        run.saved.begin(label.source, 2)
        for channel in ("left", "right"):
            run.saved.on_event(Final(1, "hello"), replace(label, channel=channel))
    run.saved.on_event(DONE, replace(A, channel="left"))
    run.saved.on_event(replace(DONE, complete=False), replace(B, channel="left"))
    run.saved.on_event(DONE, replace(A, channel="right"))
    run.saved.on_event(DONE, replace(B, channel="right"))
    run.ended()

    assert files(tmp_path) == dict.fromkeys(("a.txt", "b.txt.part"), "left: hello\nright: hello\n")


def test_a_skipped_source_keeps_its_file(tmp_path: Path) -> None:
    """The file of the earlier run stays unchanged."""
    (tmp_path / "a.txt").write_text("earlier\n")
    run = Run(OutputSettings(output_dir=str(tmp_path)), "x/a.wav")
    run.saved.begin("x/a.wav")
    run.saved.on_event(replace(DONE, skipped=True), A)
    run.ended()

    assert files(tmp_path) == {"a.txt": "earlier\n"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")  # noqa: PTH110 - a device
def test_a_full_disk_is_reported_once(tmp_path: Path) -> None:
    """The run continues, and ``failure`` has the error."""
    path = tmp_path / "t.txt"
    path.symlink_to("/dev/full")
    run = Run(OutputSettings(save_transcript=str(path)), "a.wav")
    receipts = WriteReceipts()
    run.saved.on_event(Final(1, "hello"), Label("a.wav"), receipts)
    while run.saved.failure is None:
        os.sched_yield()
    warnings = [run.saved.on_event(Final(turn, "more"), Label("a.wav"), receipts) for turn in (2, 3)]
    receipts.close(pytest.fail)  # they are not written
    run.ended()

    assert warnings == [[Warned("save_failed", f"{path} takes no more results: No space left on device")], []]
    assert run.saved.failure is not None
    assert run.saved.failure.filename == str(path)


def test_an_older_transcript_is_kept(tmp_path: Path) -> None:
    """Unless it is empty, as mktemp leaves it, or ``force`` is set."""
    path = tmp_path / "t.txt"
    path.touch()
    for force in (False, True):
        run = Run(OutputSettings(save_transcript=str(path), force=force), "a.wav")
        run.saved.on_event(Final(1, f"hello {force}"), Label("a.wav"))
        run.ended()
    assert path.read_text() == "hello True\n"

    with pytest.raises(UsageError, match=r"t\.txt exists.*--force"):
        Run(OutputSettings(save_transcript=str(path)), "a.wav")


@pytest.mark.parametrize(
    ("settings", "sources", "message"),
    [
        pytest.param(OutputSettings(save_transcript="{}/none/t.txt"), ["a"], "cannot write .*none", id="no folder"),
        pytest.param(OutputSettings(save_transcript="{}/t.doc"), ["a"], r"no format is called \.doc", id="format"),
        pytest.param(OutputSettings(output_dir="{}/file"), ["a"], "cannot write to .*file", id="no folder, but a file"),
        pytest.param(OutputSettings(output_dir="{}"), ["x/a.wav", "y/A.mp3"], r"both be in A\.txt", id="one name"),
        pytest.param(OutputSettings(output_dir="{}"), ["a.wav", "a.wav"], r"both be in a\.txt", id="twice"),
        pytest.param(OutputSettings(format="srt"), ["a", "b"], "one source, not 2.*--output-dir", id="srt"),
        pytest.param(OutputSettings(save_transcript="{}/t.txt"), ["a", "b"], "one source, not 2", id="transcript"),
        pytest.param(OutputSettings(save_audio="{}/t.wav"), ["a", "b"], "one source, not 2", id="sound"),
    ],
)
def test_wrong_settings_are_usage_errors(
    tmp_path: Path, settings: OutputSettings, sources: list[str], message: str
) -> None:
    """The error is raised before anything is sent."""
    (tmp_path / "file").touch()
    given = {
        name: value.format(tmp_path)
        for name in ("save_transcript", "output_dir", "save_audio")
        if (value := getattr(settings, name)) is not None
    }
    with pytest.raises(UsageError, match=message):
        Run(dataclasses.replace(settings, **given), *sources)  # type: ignore[arg-type]  # all of them are text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such pipes here")
def test_a_pipe_without_a_reader_is_an_error_at_once(tmp_path: Path) -> None:
    """The run does not wait for a reader."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="cannot write"):
        Run(OutputSettings(save_transcript=str(tmp_path / "pipe")), "a.wav")


def test_file_names_and_formats() -> None:
    """Names of the files in a folder, and formats of transcript names."""
    assert [file_name(source, "srt") for source in ("a/talk.v2.wav", "-", "microphone")] == [
        "talk.v2.srt",
        "stdin.srt",
        "microphone.srt",
    ]
    check(OutputSettings(format="srt", output_dir="d"), 2)
    check(OutputSettings(format="srt", save_audio="a.wav"), 1)
    from pathlib import PurePath

    assert format_of(PurePath("a.b/t")) == "text"


def begun(folder: Path, writer: str) -> Run:
    """Return a run that has written the first words of its one source."""
    run = Run(OutputSettings(output_dir=str(folder)), "a.wav", writer=writer)
    run.saved.begin("a.wav")
    run.saved.on_event(Final(1, "words"), Label("a.wav"))
    part, until = folder / f"a.txt.{writer}.part", time.monotonic() + DEADLINE_S
    while not (part.exists() and part.stat().st_size) and time.monotonic() < until:
        threading.Event().wait(0.01)
    return run


def test_two_processes_with_one_result_file(tmp_path: Path) -> None:
    """Each writes its own until it is complete; what an earlier run left incomplete is then gone."""
    (tmp_path / "a.txt.part").write_text("half")
    first, second = begun(tmp_path, "one"), begun(tmp_path, "two")
    for run in (first, second):
        run.saved.on_event(DONE, Label("a.wav"))
        run.ended()
        assert run.saved.failure is None
        assert files(tmp_path) == {"a.txt": "words\n"} | ({} if run is second else {"a.txt.two.part": "words\n"})


def test_incomplete_file_of_one_of_many_processes(tmp_path: Path) -> None:
    """It has the same name as that of a process alone."""
    begun(tmp_path, "one").ended()
    assert files(tmp_path) == {"a.txt.part": "words\n"}


@pytest.mark.parametrize("completed", [True, False])
def test_file_of_a_process_that_was_taken_for_dead(tmp_path: Path, *, completed: bool) -> None:
    """Its heir has removed it: that is no error once the heir has completed the result."""
    run = begun(tmp_path, "one")
    (tmp_path / "a.txt.one.part").unlink()
    if completed:
        (tmp_path / "a.txt").write_text("of the heir")
    run.saved.on_event(DONE, Label("a.wav"))
    run.ended()
    assert (run.saved.failure is None) == completed
    assert files(tmp_path) == ({"a.txt": "of the heir"} if completed else {})


@pytest.mark.skipif(not hasattr(os, "pathconf"), reason="no limit is known here")
@pytest.mark.parametrize("character", ["x", "\u00e4"])
def test_a_name_that_only_just_fits(character: str, tmp_path: Path) -> None:
    """The name until the file is complete is no longer than the limit; two such names stay apart."""
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") - len(".txt") - 1
    stem = character * (longest // len(character.encode()))
    sources = [f"{stem}{end}.wav" for end in "ab"]
    run = Run(OutputSettings(output_dir=str(tmp_path)), *sources)
    for source in sources:
        run.saved.begin(source)
    for source in sources:
        run.saved.on_event(Final(1, source[-5]), Label(source))
    parts = {part_path(tmp_path / f"{stem}{end}.txt").name for end in "ab"}
    assert len(parts) == 2
    assert all(name.endswith(".part") for name in parts)
    for source in sources:
        run.saved.on_event(DONE, Label(source))
    run.ended()
    assert run.saved.failure is None
    assert files(tmp_path) == {f"{stem}{end}.txt": f"{end}\n" for end in "ab"}


def test_a_name_that_does_not_fit_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """The extension of the results is longer than that of the source; and a folder has the name already."""
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    with pytest.raises(UsageError, match="File name too long"):
        Run(OutputSettings(output_dir=str(tmp_path), format="json"), f"{'x' * (longest - 4)}.wav")
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        Run(OutputSettings(output_dir=str(tmp_path)), "a.wav")


@pytest.mark.skipif(os.name != "posix", reason="no such links here")
def test_links_in_the_folder_of_results_are_not_followed(tmp_path: Path) -> None:
    """Somebody planted one under the name of the unfinished file."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt.part").symlink_to(tmp_path / "mine")
    run = Run(OutputSettings(output_dir=str(tmp_path / "out")), "x/a.wav")
    run.saved.begin("x/a.wav")
    run.saved.on_event(Final(1, "hello"), A)
    run.saved.on_event(DONE, A)
    run.ended()
    assert (tmp_path / "mine").read_text() == "mine"
    assert run.saved.failure is not None
