"""``rt help`` and ``rt version``: what they print, where, and what they say to a wrong name."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rt_cli import __version__
from rt_cli.help.topics import summary_of, topic_names
from rt_cli.version import commit_of
from tests.cli.test_help import COMMANDS
from tests.program import DEADLINE_S, ROOT, RT, ended, rt, start

if TYPE_CHECKING:
    import pyte

SAME_NAME = sorted(set(topic_names()) & set(COMMANDS))


@pytest.mark.parametrize("arguments", [("version",), ("-V",), ("--version",), ("-V", "--help")])
def test_version(arguments: tuple[str, ...]) -> None:
    """One line for the version, one for Python and the system."""
    ran = rt(*arguments)

    first, second = ran.out.splitlines()
    assert (ran.exit, ran.err, first) == (0, "", f"rt {__version__}")
    assert second.startswith(f"Python {platform.python_version()} (")
    assert second.endswith(f"{platform.system()} {platform.release()} {platform.machine()}")


@pytest.mark.parametrize(
    ("content", "commit"),
    [
        ('{"url": "x", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}', "0123456789abcdef"),
        ('{"url": "file:///x", "dir_info": {"editable": true}}', None),
        ('{"vcs_info": {"commit_id": "\\u001b[31m"}}', None),
        ("[]", None),
        ("not JSON", None),
        (None, None),
    ],
    ids=["git", "a folder", "colours", "a list", "text", "no file"],
)
def test_commit_where_installed_from_git(tmp_path: Path, content: str | None, commit: str | None) -> None:
    """As installers write it."""
    folder = tmp_path / "rt_cli-0.1.dist-info"
    folder.mkdir()
    if content is not None:
        (folder / "direct_url.json").write_text(content)

    assert commit_of(str(tmp_path)) == commit


def test_topics_are_listed_with_a_line_each() -> None:
    """On a screen of 80 columns."""
    ran = rt("help")

    assert (ran.exit, ran.err) == (0, "")
    lines = [line for line in ran.out.splitlines() if line.startswith("  ")]
    assert [line.split(maxsplit=1) for line in lines] == [[topic, summary_of(topic)] for topic in topic_names()]
    assert max(map(len, ran.out.splitlines())) <= 80
    assert len(ran.out.splitlines()) <= 40


@pytest.mark.parametrize("topic", [topic for topic in topic_names() if topic not in SAME_NAME])
def test_topic_in_a_pipe_is_markdown(topic: str) -> None:
    """Plain, whole, without marks and links."""
    ran = rt("help", topic)

    assert (ran.exit, ran.err) == (0, "")
    assert ran.out.startswith(f"# {topic}: ")
    assert "\x1b" not in ran.out
    assert "<!--" not in ran.out
    assert "](" not in ran.out


@pytest.mark.parametrize("command", ["send", "config show", "help"])
def test_command_has_its_own_help(command: str) -> None:
    """The same as ``--help``."""
    assert rt("help", *command.split()).out == rt(*command.split(), "--help").out


@pytest.mark.parametrize("name", SAME_NAME)
def test_options_come_before_the_topic_of_that_name(name: str) -> None:
    """Both, in this order."""
    assert rt("help", name).out.startswith(f"{rt(name, '--help').out}\n# {name}: ")


def test_which_names_are_both() -> None:
    """So that nobody is left without the options."""
    assert {"config", "replay", "bench", "serve"} <= set(SAME_NAME)


def test_faults_are_those_of_the_grammar() -> None:
    """One text, in both places."""
    grammar = rt("serve", "--fault", "help").out
    assert f"```text\n{grammar}```\n" in rt("help", "faults").out


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (("recpies",), "rt: no topic and no command 'recpies': did you mean recipes?"),
        (("Config",), "rt: no topic and no command 'Config': did you mean config?"),
        (("config", "shwo"), "rt: no topic and no command 'config shwo': did you mean config show?"),
        (("xyzzy",), "rt: no topic and no command 'xyzzy': rt help lists the topics"),
        (("\x1b[31mxyzzy\x07",), "rt: no topic and no command 'xyzzy': rt help lists the topics"),
        (("--man", "files"), "rt: --man is one page of all topics: leave out --man, or files"),
    ],
)
def test_wrong_name_is_one_line(names: tuple[str, ...], line: str) -> None:
    """Exit 2, and what was perhaps meant."""
    ran = rt("help", *names)

    assert (ran.exit, ran.out, ran.err) == (2, "", f"{line}\n")


def test_reader_that_leaves_is_no_failure() -> None:
    """As for ``rt help options | head -n 1``."""
    with subprocess.Popen(
        [*RT, "help", "options"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE_S) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_disk_is_one_line() -> None:
    """Exit 2."""
    with Path("/dev/full").open("wb") as full:
        ran = ended(start("help", "files", stdout=full))

    assert ran.exit == 2
    assert ran.causes[0].startswith("rt: cannot write the help: ")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_topic_on_a_terminal_is_laid_out() -> None:
    """A table without its marks."""
    from tests.picture import run

    def complete(screen: pyte.Screen) -> bool:
        return "keeps the reader alive." in " ".join(" ".join(screen.display).split())

    screen = run(("help", "exit-codes"), ROOT, complete)

    shown = "\n".join(screen.display)
    assert "incomplete: a part of the audio is in no final" in shown
    assert "| 7 |" not in shown


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_text_is_utf8_in_every_locale(encoding: str) -> None:
    """A level meter in the text is no reason to fail."""
    assert "▁▁▂▃▃▂" in rt("help", "doctor", env={"PYTHONIOENCODING": encoding}).out
