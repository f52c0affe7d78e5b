"""What earlier runs have finished."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import UsageError
from rt_cli.run.plan import make_plan
from rt_cli.run.skip_done import DoneMarks, determinants
from rt_cli.settings import EndpointSettings, Settings

if TYPE_CHECKING:
    from pathlib import Path

HOW = {"model": "whisper-1", "language": None}


def mark(done: DoneMarks, path: Path, how: dict[str, object] | None = None) -> str:
    """Of a file that can be read."""
    found = done.mark_of(str(path), HOW if how is None else how)
    assert found is not None
    return found


def test_content_counts_and_not_the_name(tmp_path: Path) -> None:
    """A copy is known, a change is not; nor is the same sound to be heard in another way."""
    one, two = tmp_path / "1.wav", tmp_path / "2.wav"
    one.write_bytes(b"sound")
    two.write_bytes(b"sound")
    first = DoneMarks(tmp_path / "state" / "done")
    first.add(mark(first, one))
    assert mark(first, one) not in first
    later = DoneMarks(tmp_path / "state" / "done")
    assert mark(later, one) in later
    assert mark(later, two) in later
    assert mark(later, one, HOW | {"language": "en"}) not in later
    one.write_bytes(b"other sound")
    assert mark(later, one) not in later


def test_a_torn_line_costs_nothing_but_itself(tmp_path: Path) -> None:
    """A crash in the middle of a line hides no line after it."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    first = DoneMarks(tmp_path / "done")
    first.add(mark(first, tmp_path / "a"))
    os.truncate(tmp_path / "done", 30)
    again = DoneMarks(tmp_path / "done")
    assert mark(again, tmp_path / "a") not in again
    again.add(mark(again, tmp_path / "b"))
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
def test_what_changes_a_result_changes_its_mark(other: Settings, tmp_path: Path) -> None:
    """Also what only we go by; how it looks on the way does not count."""
    sound, done = tmp_path / "a", DoneMarks(tmp_path / "done")
    sound.write_bytes(b"a")
    quiet = replace(SETTINGS, output=replace(SETTINGS.output, quiet=True))
    marks = [mark(done, sound, determinants(each, make_plan(each, {}))) for each in (SETTINGS, quiet, other)]
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.parametrize("name", ["missing", ".", "nul\0"])
def test_what_cannot_be_read_has_no_mark(name: str, tmp_path: Path) -> None:
    """To say so is left to who opens it."""
    assert DoneMarks(tmp_path / "done").mark_of(f"{tmp_path}/{name}", HOW) is None


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    """That would wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    assert DoneMarks(tmp_path / "done").mark_of(str(tmp_path / "pipe"), HOW) is None


def test_it_is_nobody_elses_business(tmp_path: Path) -> None:
    """What somebody has heard is private."""
    DoneMarks(tmp_path / "state" / "done")
    assert (tmp_path / "state" / "done").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said before anything is sent."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot keep"):
        DoneMarks(tmp_path / "file" / "state")


def test_a_mark_that_cannot_be_kept_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller tells it at the end."""
    done = DoneMarks(tmp_path / "done")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    done.add("0" * 64)
    assert done.failure is not None
