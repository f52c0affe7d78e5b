"""``rt devices``, and what the shell offers for ``--device``."""

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

    from rt_cli.commands.garbage import collect_from_here
    from rt_cli.commands.microphones import tell

    collect_from_here()
    return asyncio.run(tell(json=json, watch=watch))


def complete_device(incomplete: str) -> list[tuple[str, str]]:
    """Names and host APIs of the microphones for the shell; nothing where the sound system is slow or broken."""
    import asyncio

    from rt_cli.commands.microphones import offered

    return asyncio.run(offered(incomplete))
