"""``rt devices``."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="NDJSON: a line per device.")]
Watch = Annotated[bool, typer.Option("--watch", help="Go on, and tell what appears and vanishes, until Ctrl-C.")]


def devices(json: Json = False, watch: Watch = False) -> int:
    """List the microphones, freshly searched for.

    Examples:
        rt devices
        rt devices --json | jq -r 'select(.default).name'
        rt devices --watch
    """
    import asyncio

    from rt_cli.cli.list_devices import list_devices
    from rt_cli.cli.process import collect_garbage

    collect_garbage()
    return asyncio.run(list_devices(json=json, watch=watch))
