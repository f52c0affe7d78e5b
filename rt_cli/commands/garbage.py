"""When garbage is collected."""

from __future__ import annotations

import gc


def collect_from_here() -> None:
    """Take what the start has made for permanent, and collect garbage from now on.

    The program starts without collecting any: what it imports stays to its end, and to look through all of it again and
    again would take a tenth of the start. Called where a command's event loop begins.
    """
    gc.freeze()
    gc.enable()
