"""Marks of finished sources."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import UsageError
from rt_cli.run.plan import make_plan
from rt_cli.run.skip_done import DoneMarks, determinants
from rt_cli.server.recognition.registry import Spec
from rt_cli.settings import EndpointSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path

HOW = {"model": "whisper-1", "language": None}


def mark(done: DoneMarks, path: Path, how: dict[str, object] | None = None) -> str:
    """Return the mark of a readable file."""
    found = done.mark_of(str(path), HOW if how is None else how)
    assert found is not None
    return found


def test_mark_depends_on_content_not_name(tmp_path: Path) -> None:
    """A copy has the same mark. Other content or other settings give another mark."""
    one, two = tmp_path / "1.wav", tmp_path / "2.wav"
    one.write_bytes(b"sound")
    two.write_bytes(b"sound")
    first = DoneMarks(tmp_path / "state" / "done")
    first.add(mark(first, one))
    assert first.close(10)
    assert mark(first, one) not in first
    later = DoneMarks(tmp_path / "state" / "done")
    assert mark(later, one) in later
    assert mark(later, two) in later
    assert mark(later, one, HOW | {"language": "en"}) not in later
    one.write_bytes(b"other sound")
    assert mark(later, one) not in later


def test_incomplete_line(tmp_path: Path) -> None:
    """An incomplete line after a crash does not hide later lines."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    first = DoneMarks(tmp_path / "done")
    first.add(mark(first, tmp_path / "a"))
    assert first.close(10)
    os.truncate(tmp_path / "done", 30)
    again = DoneMarks(tmp_path / "done")
    assert mark(again, tmp_path / "a") not in again
    again.add(mark(again, tmp_path / "b"))
    assert again.close(10)
    assert mark(again, tmp_path / "b") in DoneMarks(tmp_path / "done")


SETTINGS = Settings(endpoint=EndpointSettings(url="ws://127.0.0.1:9", model="whisper-1"))


@pytest.mark.parametrize(
    "other",
    [
        replace(SETTINGS, session=replace(SETTINGS.session, silence_ms=900)),
        replace(SETTINGS, session=replace(SETTINGS.session, turn_detection="client", max_turn_s=9)),
        replace(SETTINGS, input=replace(SETTINGS.input, gate=True)),
        replace(SETTINGS, output=replace(SETTINGS.output, timestamps=True)),
        replace(SETTINGS, output=replace(SETTINGS.output, format="srt")),
    ],
)
def test_settings_that_change_the_mark(other: Settings, tmp_path: Path) -> None:
    """Every setting that changes a result changes the mark; display settings do not."""
    sound, done = tmp_path / "a", DoneMarks(tmp_path / "done")
    sound.write_bytes(b"a")
    quiet = replace(SETTINGS, output=replace(SETTINGS.output, quiet=True))
    marks = [mark(done, sound, determinants(each, make_plan(each, {}))) for each in (SETTINGS, quiet, other)]
    assert marks[0] == marks[1] != marks[2]


def test_another_recogniser_changes_the_mark() -> None:
    """Marks that were made when there was only pocketsphinx stay valid."""
    plan = make_plan(SETTINGS, {})
    first = determinants(SETTINGS, plan)
    assert first == determinants(SETTINGS, replace(plan, recognizer=Spec("pocketsphinx")))
    assert first != determinants(SETTINGS, replace(plan, recognizer=Spec("whisper", "/models/tiny")))
    assert "recognizer" not in first


@pytest.mark.parametrize("name", ["missing", ".", "nul\0"])
def test_unreadable_file_has_no_mark(name: str, tmp_path: Path) -> None:
    """An unreadable file has no mark; opening the source reports the error."""
    assert DoneMarks(tmp_path / "done").mark_of(f"{tmp_path}/{name}", HOW) is None


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    """A FIFO has no mark: opening it would wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    assert DoneMarks(tmp_path / "done").mark_of(str(tmp_path / "pipe"), HOW) is None


def test_file_is_private(tmp_path: Path) -> None:
    """The file is readable by its owner alone."""
    DoneMarks(tmp_path / "state" / "done")
    assert (tmp_path / "state" / "done").stat().st_mode & 0o077 == 0


def test_unwritable_folder(tmp_path: Path) -> None:
    """An unwritable folder is an error before anything is sent."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot keep"):
        DoneMarks(tmp_path / "file" / "state")


def test_write_error_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write error is kept in ``failure``, for the end of the run."""
    done = DoneMarks(tmp_path / "done")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    done.add("0" * 64)
    assert done.close(10)
    assert done.failure is not None


@pytest.mark.skipif(os.name != "posix", reason="no such files here")
@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_marks_are_kept_in_a_file_only(kind: str, tmp_path: Path) -> None:
    """Somebody else may be able to make links and pipes in the folder of the results."""
    (tmp_path / "mine").write_text("mine")
    done = tmp_path / "done"
    {"link": lambda: done.symlink_to("mine"), "fifo": lambda: os.mkfifo(done), "folder": done.mkdir}[kind]()
    with pytest.raises(UsageError, match="cannot keep"):
        DoneMarks(done)
    assert (tmp_path / "mine").read_text() == "mine"
