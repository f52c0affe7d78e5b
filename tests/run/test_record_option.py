"""No output is another file of the run."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - in annotations only
from typing import Any

import pytest

from rt_cli.errors import UsageError
from rt_cli.run.record_option import check_outputs
from rt_cli.settings import OutputSettings


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"log_file": "{}/talk.wav"}, id="the log in the source"),
        pytest.param({"log_file": "{}/link"}, id="by a symbolic link"),
        pytest.param({"record": "{}/hard", "force": True}, id="by a hard link"),
        pytest.param({"save_transcript": "{}/talk.txt"}, id="the transcript"),
        pytest.param({"save_transcript": "{}/a", "log_file": "{}/a"}, id="two outputs"),
        pytest.param({"save_audio": "{}/a", "record": "{}/b/../a"}, id="two outputs by a link"),
    ],
)
def test_one_file_for_two_things(options: dict[str, Any], tmp_path: Path) -> None:
    """It is refused before it is opened, so nothing of it is lost."""
    (tmp_path / "talk.wav").write_bytes(b"sound")
    (tmp_path / "link").symlink_to(tmp_path / "talk.wav")
    (tmp_path / "hard").hardlink_to(tmp_path / "talk.wav")
    (tmp_path / "talk.txt").hardlink_to(tmp_path / "talk.wav")
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()
    named = {name: value.format(tmp_path) if isinstance(value, str) else value for name, value in options.items()}
    with pytest.raises(UsageError, match="is a file of this run already"):
        check_outputs(OutputSettings(**named), [str(tmp_path / "talk.wav")])


def test_devices_and_stdin_are_no_files() -> None:
    """Several outputs may go to a device, and a file may be called like stdin."""
    check_outputs(OutputSettings(record="/dev/null", log_file="/dev/null", save_transcript="./-"), ["-"])
