"""Marks of finished sources."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rt_cli.errors import UsageError
from rt_cli.run.claims.claims import Claim
from rt_cli.run.claims.decision import Standing
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


def finish(folder: Path, name: Path, result: Path | None = None) -> None:
    """Finish a source in a run of its own."""
    done = DoneMarks(folder)
    claim = done.take(str(name), HOW, result)
    assert isinstance(claim, Claim)
    done.finish(claim)
    assert done.close(10)
    assert done.failure is None


def test_mark_depends_on_content_not_name(tmp_path: Path) -> None:
    """A copy has the same mark. Other content or other settings give another mark."""
    one, two = tmp_path / "1.wav", tmp_path / "2.wav"
    one.write_bytes(b"sound")
    two.write_bytes(b"sound")
    finish(tmp_path / "state" / "done", one)
    later = DoneMarks(tmp_path / "state" / "done")
    assert later.take(str(one), HOW, None) is Standing.DONE
    assert later.take(str(two), HOW, None) is Standing.DONE
    assert isinstance(later.take(str(two), HOW, None, again=True), Claim)
    assert isinstance(later.take(str(one), HOW | {"language": "en"}, None), Claim)
    one.write_bytes(b"other sound")
    assert isinstance(later.take(str(one), HOW, None), Claim)
    assert later.close(10)


def test_copy_in_the_same_run(tmp_path: Path) -> None:
    """Both are sent, as without the option: nobody else has the words of the second one."""
    one, two = tmp_path / "1.wav", tmp_path / "2.wav"
    one.write_bytes(b"sound")
    two.write_bytes(b"sound")
    done = DoneMarks(tmp_path / "done")
    first, second = done.take(str(one), HOW, None), done.take(str(two), HOW, None)
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    done.release(second)
    done.finish(first)
    assert done.close(10)
    assert DoneMarks(tmp_path / "done").take(str(two), HOW, None) is Standing.DONE


def test_each_copy_has_its_result_file(tmp_path: Path) -> None:
    """One content under two names is two results, whichever process is first."""
    one, two = tmp_path / "1.wav", tmp_path / "2.wav"
    one.write_bytes(b"sound")
    two.write_bytes(b"sound")
    finish(tmp_path / "done", one, tmp_path / "1.txt")
    later = DoneMarks(tmp_path / "done")
    assert later.take(str(one), HOW, tmp_path / "1.txt") is Standing.DONE
    assert isinstance(later.take(str(two), HOW, tmp_path / "2.txt"), Claim)
    assert later.close(10)


def test_what_another_run_works_on(tmp_path: Path) -> None:
    """It is busy until that run gives it up; then the next one has it, and not a third."""
    sound = tmp_path / "1.wav"
    sound.write_bytes(b"sound")
    runs = [DoneMarks(tmp_path / "done") for _ in range(3)]
    claim = runs[0].take(str(sound), HOW, None)
    assert isinstance(claim, Claim)
    assert [run.take(str(sound), HOW, None) for run in runs[1:]] == [Standing.BUSY] * 2
    assert runs[1].busy({str(sound): None}) == {str(sound)}
    assert runs[0].close(10)
    assert runs[1].busy({str(sound): None}) == set()
    assert isinstance(runs[1].take(str(sound), HOW, None), Claim)
    assert runs[2].busy({str(sound): None}) == {str(sound)}
    assert all(run.close(10) for run in runs)


def test_marks_of_an_older_version(tmp_path: Path) -> None:
    """A line each; an incomplete one after a crash does not hide later ones. The file is not written to."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    marks = [mark(DoneMarks(tmp_path / "none"), tmp_path / name) for name in ("a", "b")]
    text = f"{marks[0][:30]}{marks[1]}\n"
    (tmp_path / "done").write_text(text)
    done = DoneMarks(tmp_path / "done")
    assert isinstance(done.take(str(tmp_path / "a"), HOW, None), Claim)
    assert done.take(str(tmp_path / "b"), HOW, tmp_path / "b.txt") is Standing.DONE
    assert done.close(10)
    assert (tmp_path / "done").read_text() == text


def test_result_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    """What it wrote of its result has its name, and ends with its claim."""
    (tmp_path / "a.wav").write_bytes(b"sound")
    script = f"""
import os, pathlib, signal
from rt_cli.run.skip_done import DoneMarks
from rt_cli.output.results.result_file import part_path
done, result = DoneMarks(pathlib.Path({str(tmp_path / "done")!r})), pathlib.Path({str(tmp_path / "a.txt")!r})
done.take({str(tmp_path / "a.wav")!r}, {HOW!r}, result)
part_path(result, done.token).write_text("half")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=30, check=False).returncode < 0
    assert len(list(tmp_path.glob("a.txt.*.part"))) == 1
    finish(tmp_path / "done", tmp_path / "a.wav", tmp_path / "a.txt")
    assert list(tmp_path.glob("*.part")) == []


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


def test_marks_are_private(tmp_path: Path) -> None:
    """They are readable by their owner alone."""
    (tmp_path / "a").write_bytes(b"a")
    finish(tmp_path / "state" / "done", tmp_path / "a")
    found = list((tmp_path / "state" / "done.d").rglob("*"))
    assert len(found) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "state" / "done.d", *found))


def test_unwritable_folder(tmp_path: Path) -> None:
    """An unwritable folder is an error before anything is sent."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot"):
        DoneMarks(tmp_path / "file" / "state")


def test_folder_that_fails_later(tmp_path: Path) -> None:
    """One line says so, for the source that cannot be claimed."""
    (tmp_path / "a").write_bytes(b"a")
    done = DoneMarks(tmp_path / "done")
    (tmp_path / "done.d").rmdir()
    (tmp_path / "done.d").touch()
    with pytest.raises(UsageError, match="cannot keep"):
        done.take(str(tmp_path / "a"), HOW, None)


def test_write_error_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write error is kept in ``failure``, for the end of the run."""
    (tmp_path / "a").write_bytes(b"a")
    done = DoneMarks(tmp_path / "done")
    claim = done.take(str(tmp_path / "a"), HOW, None)
    assert isinstance(claim, Claim)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    done.finish(claim)
    assert done.close(10)
    assert done.failure is not None


@pytest.mark.skipif(os.name != "posix", reason="no such files here")
@pytest.mark.parametrize("name", ["done", "done.d"])
@pytest.mark.parametrize("kind", ["link", "fifo", "other"])
def test_marks_are_kept_in_a_folder_only(name: str, kind: str, tmp_path: Path) -> None:
    """Somebody else may be able to make links and pipes in the folder of the results."""
    (tmp_path / "mine").mkdir()
    made = tmp_path / name
    other = made.mkdir if name == "done" else made.touch
    {"link": lambda: made.symlink_to("mine"), "fifo": lambda: os.mkfifo(made), "other": other}[kind]()
    with pytest.raises(UsageError, match="cannot"):
        DoneMarks(tmp_path / "done")
    assert list((tmp_path / "mine").iterdir()) == []
