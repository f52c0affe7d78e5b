"""``rt config edit``: the config file in the user's editor."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from rt_cli.config.config_file import config_path
from rt_cli.config.layers import load_settings
from rt_cli.config.show import create_example
from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def edit_config(config: Path | None) -> int:
    """Open the config file in an editor, wait for its end, and check the file. Blocks. Returns 0.

    Raises:
        UsageError: No editor is known, it cannot be run, or it fails; the example cannot be written; or the file is
            no valid configuration afterwards.
    """
    path = config or config_path(os.environ)
    command = editor_of(os.environ)
    if not path.exists():
        create_example(path, replace=False)
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode  # noqa: S603 - the user's own editor
    except OSError as error:
        raise UsageError(f"cannot run {printable(command[0])}: {error.strerror}", "set EDITOR to a program") from error
    if code:
        raise UsageError(f"the editor ended with {code}", "see above")
    load_settings({}, config=path, profile=None, environ={})  # what is wrong is said now, not at the next run
    return 0


def editor_of(environ: Mapping[str, str]) -> list[str]:
    """Return the command of the editor. Raises UsageError if the variables name none."""
    text = environ.get("VISUAL", "").strip() or environ.get("EDITOR", "").strip()
    try:
        command = shlex.split(text)
    except ValueError:
        command = []
    if not command:
        raise UsageError("no editor is set", "export EDITOR=nano, or edit the file of rt config path")
    return command
