"""``rt doctor``: check this machine and the endpoint, and print a fix for each failure."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import logging_on_stderr, run_loop

Json = Annotated[bool, typer.Option("--json", help="NDJSON: a line per finding, then a summary.")]
NoMic = Annotated[bool, typer.Option("--no-mic", help="Leave the microphone alone.")]


@options.with_settings("doctor")
def doctor(device: options.Setting = None, no_mic: NoMic = False, json: Json = False, **values: Any) -> int:
    """Say what works here, and what to do about what does not.

    Exits as rt stream --mic would, with 0 if it would work. With -q only what does not work is said.

    Examples:
        rt doctor
        rt doctor --url wss://HOST --no-mic
        rt doctor --json | jq 'select(.status=="fail")'
    """
    from rt_cli.doctor.run_doctor import diagnose

    quiet = bool(values.pop("quiet"))
    with logging_on_stderr(values.pop("verbose") or 0):
        return run_loop(lambda _: diagnose({"device": device, **values}, microphone=not no_mic, json=json, quiet=quiet))
