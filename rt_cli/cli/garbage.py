"""When garbage is collected."""

from __future__ import annotations

import gc


def collect_from_here() -> None:
    """Collect garbage from now on; called where a command's event loop begins.

    The program starts without: what it imports stays to its end, and to look through all of it again and again would
    take a tenth of the start.
    """
    gc.enable()
