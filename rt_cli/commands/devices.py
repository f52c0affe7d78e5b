"""``rt devices``."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="NDJSON: a line per device.")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="What the sound system says, on stderr.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on, and tell what appears and vanishes, until Ctrl-C.")]


def devices(json: Json = False, watch: Watch = False, verbose: Verbose = 0) -> int:
    """List the microphones, freshly searched for.

    Examples:
        rt devices
        rt devices --json | jq -r 'select(.default).name'
        rt devices --watch
    """
    from rt_cli.cli.list_devices import list_devices
    from rt_cli.cli.process import logging_on_stderr, run_loop

    with logging_on_stderr(verbose):
        return run_loop(partial(list_devices, json=json, watch=watch))
