"""Logging for ``-v`` and ``--log-file``."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from rt_cli.errors import UsageError
from rt_cli.output.logs import ROOT, Logs
from rt_cli.settings import OutputSettings


def logged(settings: OutputSettings, message: str, *args: object) -> list[str]:
    """What ``-v`` says on stderr when ``message`` is logged somewhere in ``rt``."""
    said: list[str] = []
    logs = Logs(settings, said.append)
    logging.getLogger("rt.sender").debug(message, *args)
    logs.close(5)
    return said


def test_verbose_says_what_happens() -> None:
    """Level, place, message; not as an ``rt:`` line, which is the error's alone."""
    assert logged(OutputSettings(verbose=True), "lane %s", "taken") == ["DEBUG rt.sender: lane taken"]


def test_nothing_is_said_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    """Not even a warning, which logging would print by itself."""
    logs = Logs(OutputSettings(), print)
    logging.getLogger("rt.sender").critical("odd")
    logs.close(5)

    assert capfd.readouterr() == ("", "")


def test_nothing_is_formatted_unless_asked_for() -> None:
    """A debug line on the hot path costs one comparison."""
    logs = Logs(OutputSettings(), print)
    enabled = logging.getLogger("rt.sender").isEnabledFor(logging.CRITICAL)
    logs.close(5)

    assert not enabled


@pytest.mark.parametrize(
    "message",
    ["Authorization: Bearer sk-abcdefghijklmnop", "api-key: abcdefghijklmnop", "sk-proj-abcdefghijklmnop"],
    ids=["bearer", "api-key", "key"],
)
def test_no_key_is_logged(message: str) -> None:
    """Whoever logs one by mistake."""
    assert "abcdefgh" not in "".join(logged(OutputSettings(verbose=True), message))


def test_no_text_commands_the_terminal() -> None:
    """The words of an endpoint are logged without their control characters; each record is one line at the margin."""
    said = logged(OutputSettings(verbose=True), "heard %s", "a\x1b[2Jb\x9b1m\nrt: not an error")

    assert said == ["DEBUG rt.sender: heard ab", "    rt: not an error"]


def test_the_log_file_has_times_and_utf8(tmp_path: Path) -> None:
    """Debug lines, appended to what is there; stderr stays clean."""
    path = tmp_path / "rt.log"
    path.write_text("before\n", encoding="utf-8")
    said = logged(OutputSettings(log_file=str(path)), "Füße")
    before, line = path.read_text(encoding="utf-8").splitlines()

    assert said == []
    assert before == "before"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} DEBUG rt\.sender: Füße", line)


@pytest.mark.parametrize("name", ["missing/rt.log", ".", "nul\0.log"], ids=["no-folder", "a-folder", "no-name"])
def test_an_unwritable_log_file_is_a_usage_error(tmp_path: Path, name: str) -> None:
    """Exit 2 before anything starts, and the path is named."""
    with pytest.raises(UsageError, match="cannot write the log file") as caught:
        Logs(OutputSettings(log_file=f"{tmp_path}/{name}"), print)

    assert caught.value.exit_code == 2
    assert not logging.getLogger(ROOT).handlers


def test_closing_leaves_logging_as_it_was() -> None:
    """A program that uses ``rt`` as a library keeps its own logging."""
    logger = logging.getLogger(ROOT)
    before = (logger.level, logger.propagate, list(logger.handlers))
    logs = Logs(OutputSettings(verbose=True), print)
    logs.close(5)
    logs.close(5)

    assert (logger.level, logger.propagate, logger.handlers) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
@pytest.mark.parametrize(("quiet", "lines"), [(False, 1), (True, 0)])
def test_a_full_disk_is_told(lines: int, *, quiet: bool) -> None:
    """The log ends there, the run does not; and nothing is hidden."""
    said = logged(OutputSettings(log_file="/dev/full", quiet=quiet), "anything")

    assert said == ["warning: the log file /dev/full takes no more: No space left on device"][:lines]
