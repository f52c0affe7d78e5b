"""What people type, as processes: files, folders, pipes and lists; results in a file."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.program import RT, Ran, ended, noise, rt, start, write_wav
from tests.servers import polite, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = "he might even have been made amiable"


@pytest.fixture
def env() -> Iterator[dict[str, str]]:
    """Variables that name an endpoint which hears :data:`WORDS` in everything."""
    with scripted(polite(WORDS)) as server:
        yield {"RT_URL": server.url, "RT_MODEL": "gpt-4o-transcribe", "RT_SPEED": "max"}


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A folder with two sound files, and a file that is none."""
    folder = tmp_path / "talks"
    folder.mkdir()
    for name in ("b.WAV", "a.wav"):
        write_wav(folder / name, noise(12_000))
    (folder / "notes.txt").write_text("not sound")
    (folder / ".hidden.wav").write_text("not sound")
    return folder


def piped(file: Path, *arguments: str, env: dict[str, str], through: bool = False) -> Ran:
    """Run with a file on stdin: the file itself, or a pipe."""
    if through:
        return rt(*arguments, stdin=file.read_bytes(), env=env)
    with file.open("rb") as stdin:
        return ended(start(*arguments, stdin=stdin, env=env))


@pytest.mark.parametrize("through", [True, False], ids=["pipe", "redirect"])
@pytest.mark.parametrize("arguments", [(), ("send",), ("stream",), ("-q",), ("send", "-")], ids=" ".join)
def test_what_is_piped_in_is_sent(
    env: dict[str, str], talk: Path, arguments: tuple[str, ...], *, through: bool
) -> None:
    """``... | rt`` and ``rt < FILE``."""
    ran = piped(talk / "a.wav", *arguments, env=env, through=through)

    assert (ran.exit, ran.out) == (0, f"{WORDS}\n")


def test_nothing_piped_in_is_the_help() -> None:
    """Exit 2, as for any use without a command."""
    ran = rt()

    assert (ran.exit, ran.err) == (2, "")
    assert ran.out.startswith("Usage: rt ")


@pytest.mark.parametrize("closed", [False, True], ids=["null device", "closed"])
def test_stream_without_a_source_says_what_to_type(*, closed: bool) -> None:
    """One line."""
    script = f'exec "$@" {"0<&-" if closed else "</dev/null"}'
    done = subprocess.run(["sh", "-c", script, "sh", *RT, "stream"], capture_output=True, check=False, timeout=30)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"rt: nothing to stream: rt stream --mic, or rt stream - for a pipe\n"


def test_file_and_folder_need_no_command(env: dict[str, str], talk: Path) -> None:
    """A folder is its sound files, by name; other files and folders in it are left alone."""
    (talk / "more.wav").mkdir()

    assert rt(str(talk / "a.wav"), env=env).out == f"{WORDS}\n"
    ran = rt("--json", str(talk), env=env)
    assert [event["source"] for event in ran.of("summary")] == [str(talk / "a.wav"), str(talk / "b.WAV")]


def test_folder_without_sound(env: dict[str, str], talk: Path) -> None:
    """A source that cannot be read, with a summary."""
    for file in talk.glob("[ab].*"):
        file.unlink()
    ran = rt("send", "--json", str(talk), env=env)

    assert (ran.exit, ran.summary["exit"]) == (3, 3)
    assert ran.causes == [f"rt: {talk}: is a directory without sound files to send: name files"]


@pytest.mark.parametrize("null", [False, True], ids=["lines", "null"])
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_names_from_a_list(env: dict[str, str], talk: Path, tmp_path: Path, way: str, *, null: bool) -> None:
    """Any bytes of the file system, after the files that were named."""
    odd = os.fsdecode(b"na\xefve \xff.wav")
    write_wav(talk / odd, noise(12_000))
    end = b"\0" if null else b"\n"
    names = end.join(os.fsencode(talk / name) for name in ("b.WAV", odd)) + end
    listed = tmp_path / "names"
    listed.write_bytes(names)
    more = ["--null"] if null else []
    ran = rt(
        *("send", "--json", str(talk / "a.wav"), "--files-from", "-" if way == "stdin" else str(listed), *more),
        stdin=names if way == "stdin" else None,
        env=env,
    )

    assert ran.exit == 0, ran.err
    assert [event["exit"] for event in ran.of("summary")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        (b"", [], "no names are in"),
        (b"\n\n", [], "no names are in"),
        (b"a.wav\0b.wav\0", [], "end with a NUL: add --null"),
        (None, [], "cannot read the names in"),
    ],
)
def test_list_without_names(tmp_path: Path, content: bytes | None, more: list[str], says: str) -> None:
    """One line, exit 2."""
    listed = tmp_path / "names"
    if content is not None:
        listed.write_bytes(content)
    ran = rt("send", "--files-from", str(listed), *more)

    assert (ran.exit, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert says in ran.err


def test_lines_with_the_name_of_their_source(env: dict[str, str], talk: Path) -> None:
    """In text before the words, in NDJSON as a field."""
    name = str(talk / "a.wav")

    assert rt("send", "--with-filename", name, env=env).out == f"{name}: {WORDS}\n"
    assert rt("send", "--with-filename", "--json", name, env=env).of("final")[0]["source"] == name


@pytest.mark.parametrize("name", ["out.srt", "out.vtt", "out.txt", "out.jsonl", "out.json"])
def test_results_in_a_file_by_its_ending(env: dict[str, str], talk: Path, tmp_path: Path, name: str) -> None:
    """Byte for byte what stdout would get, and nothing there."""
    file = tmp_path / name
    ran = rt("send", str(talk / "a.wav"), "-o", str(file), env=env)

    assert (ran.exit, ran.out) == (0, "")
    assert WORDS in file.read_text().replace("\n", " ")
    if "json" not in name:
        kind = {"txt": "text"}.get(name[4:], name[4:])
        assert file.read_text() == rt("send", str(talk / "a.wav"), "-f", kind, env=env).out


def test_a_file_is_replaced_by_a_new_result_only(env: dict[str, str], talk: Path, tmp_path: Path) -> None:
    """Never unasked; with --force not by a run that heard nothing."""
    file = tmp_path / "out.srt"
    file.write_text("mine")
    arguments = ["send", str(talk / "a.wav"), "-o", str(file)]

    refused = rt(*arguments, env=env)
    assert (refused.exit, file.read_text()) == (2, "mine")
    assert f"{file} exists: choose another name, or --force to replace it" in refused.err

    failed = rt(*arguments, "--force", "--url", "ws://127.0.0.1:9", "--retry-for", "0", "--connect-timeout", "1")
    assert (failed.exit, file.read_text()) == (5, "mine")
    missing = rt("send", str(talk / "no.wav"), "-o", str(file), "--force", env=env)
    assert (missing.exit, file.read_text()) == (3, "mine")

    replaced = rt(*arguments, "--force", env=env)
    assert (replaced.exit, file.read_text().splitlines()[2]) == (0, WORDS)


def test_words_from_a_later_moment(env: dict[str, str], talk: Path) -> None:
    """Times count from there; a start behind the end is an error of the input."""
    summary = rt("send", "--json", "--start", "0.2", str(talk / "a.wav"), env=env).summary
    assert summary["captured_ms"] == 300

    ran = rt("send", "--start", "1", str(talk / "a.wav"), env=env)
    assert ran.exit == 3
    assert "ends before --start 1" in ran.err


@pytest.mark.parametrize(
    ("shell", "mark"),
    [("bash", "complete -o default"), ("/usr/bin/zsh", "#compdef rt"), ("Fish", "complete --command rt")],
)
def test_completion_script(shell: str, mark: str) -> None:
    """On stdout, for packages."""
    ran = rt("completion", shell)

    assert (ran.exit, ran.err) == (0, "")
    assert mark in ran.out


def test_completion_for_another_shell() -> None:
    """One line."""
    ran = rt("completion", "tcsh")

    assert (ran.exit, ran.out) == (2, "")
    assert ran.err == "rt: no completion for the shell tcsh: there are bash, zsh, fish, powershell, pwsh\n"


def test_skip_done_does_not_empty_what_it_would_not_print_again(
    env: dict[str, str], talk: Path, tmp_path: Path
) -> None:
    """``>`` is refused; ``>>``, a pipe, a device and a file per source work."""
    env = {**env, "XDG_STATE_HOME": str(tmp_path / "state")}
    arguments = ("send", "--skip-done", str(talk / "a.wav"))
    out = tmp_path / "out.txt"

    with out.open("wb") as stdout:
        refused = ended(start(*arguments, stdout=stdout, env=env))
    assert refused.exit == 2
    assert refused.causes == [
        (
            "rt: --skip-done does not print what is done already, and > has just emptied the file of it: "
            "append with >>, or give --output-dir"
        )
    ]
    with out.open("ab") as stdout:
        assert ended(start(*arguments, stdout=stdout, env=env)).exit == 0
    assert out.read_text() == f"{WORDS}\n"
    assert (rt(*arguments, env=env).exit, rt(*arguments, env=env).out) == (0, "")
    with open(os.devnull, "wb") as stdout:  # noqa: PTH123 - no path
        assert ended(start(*arguments, stdout=stdout, env=env)).exit == 0
    with (tmp_path / "other").open("wb") as stdout:
        assert ended(start(*arguments, "--output-dir", str(tmp_path), stdout=stdout, env=env)).exit == 0
