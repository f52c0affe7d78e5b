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
    """Return the output of ``-v`` for a logged message."""
    said: list[str] = []
    logs = Logs(settings, said.append)
    logging.getLogger("rt.sender").debug(message, *args)
    logs.close(5)
    return said


def test_verbose_prints_level_logger_and_message() -> None:
    """Level, logger, message; not as an ``rt:`` line, which only the error has."""
    assert logged(OutputSettings(verbose=True), "lane %s", "taken") == ["DEBUG rt.sender: lane taken"]


@pytest.mark.parametrize(("verbose", "lines"), [(1, 1), (2, 3)])
def test_what_each_message_does_is_logged_with_the_wire(verbose: int, lines: int) -> None:
    """Not with the connection: it would be two lines for each piece of sound."""
    said: list[str] = []
    logs = Logs(OutputSettings(verbose=verbose), said.append)
    for name in ("rt.sender", "rt.sender.lane", "rt.wire"):
        logging.getLogger(name).debug("%s", name)
    logs.close()

    assert (
        said == ["DEBUG rt.sender: rt.sender", "DEBUG rt.sender.lane: rt.sender.lane", "DEBUG rt.wire: rt.wire"][:lines]
    )


def test_nothing_is_logged_without_options(capfd: pytest.CaptureFixture[str]) -> None:
    """Not even warnings, which logging prints by default."""
    logs = Logs(OutputSettings(), print)
    logging.getLogger("rt.sender").critical("odd")
    logs.close(5)

    assert capfd.readouterr() == ("", "")


def test_nothing_is_formatted_without_options() -> None:
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
    """Keys in log messages are masked."""
    assert "abcdefgh" not in "".join(logged(OutputSettings(verbose=True), message))


def test_log_lines_have_no_control_characters() -> None:
    """Text of an endpoint is logged without control characters; only the first line of a record is not indented."""
    said = logged(OutputSettings(verbose=True), "heard %s", "a\x1b[2Jb\x9b1m\nrt: not an error")

    assert said == ["DEBUG rt.sender: heard ab", "    rt: not an error"]


def test_the_log_file_has_times_and_utf8(tmp_path: Path) -> None:
    """Debug lines are appended to the file; stderr stays empty."""
    path = tmp_path / "rt.log"
    path.write_text("before\n", encoding="utf-8")
    said = logged(OutputSettings(log_file=str(path)), "Füße")
    before, line = path.read_text(encoding="utf-8").splitlines()

    assert said == []
    assert before == "before"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} DEBUG rt\.sender: Füße", line)


@pytest.mark.parametrize("name", ["missing/rt.log", ".", "nul\0.log"], ids=["no-folder", "a-folder", "no-name"])
def test_an_unwritable_log_file_is_a_usage_error(tmp_path: Path, name: str) -> None:
    """Exit code 2 before the run starts; the message names the path."""
    with pytest.raises(UsageError, match="cannot write the log file") as caught:
        Logs(OutputSettings(log_file=f"{tmp_path}/{name}"), print)

    assert caught.value.exit_code == 2
    assert not logging.getLogger(ROOT).handlers


def test_close_restores_the_logging_configuration() -> None:
    """A program that uses ``rt`` as a library keeps its own logging."""
    logger = logging.getLogger(ROOT)
    before = (logger.level, logger.propagate, list(logger.handlers))
    logs = Logs(OutputSettings(verbose=True), print)
    logs.close(5)
    logs.close(5)

    assert (logger.level, logger.propagate, logger.handlers) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
@pytest.mark.parametrize(("quiet", "lines"), [(False, 1), (True, 0)])
def test_a_full_disk_is_reported(lines: int, *, quiet: bool) -> None:
    """The log ends, the run continues, and a warning is printed."""
    said = logged(OutputSettings(log_file="/dev/full", quiet=quiet), "anything")

    assert said == ["warning: the log file /dev/full takes no more: No space left on device"][:lines]
