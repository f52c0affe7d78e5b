"""``python -m tests.simulation``: many runs by seed, or one of them with its timeline."""

from __future__ import annotations

from tests.simulation.machine import install as machine

machine.install()

from tests.simulation import watch  # noqa: E402 - after the machine is in place

watch.install()

from tests.simulation.command import main  # noqa: E402

raise SystemExit(main())
