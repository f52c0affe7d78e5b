"""``[delivery]``: pace, timeouts, retries and limits."""

from dataclasses import dataclass
from typing import Literal

from rt_cli.settings.auto import (
    DRAIN_S,
    EMBEDDED_DRAIN_S,
    REMOTE_CATCH_UP,
    REMOTE_SPEED,
    RETRY_FINITE_S,
    RETRY_LIVE_S,
)
from rt_cli.settings.declaration import BENCH, CONVERSATION, ENDPOINT, RUN, STREAM, TALK, setting

OnFull = Literal["spool", "drop-oldest", "fail"]
"""When a minute of live audio waits: write it to disk, drop the oldest, or end the run."""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Pace, timeouts, retries and limits."""

    speed: float | None = setting(
        None,
        "--speed X",
        "Times real time, or max.",
        doc="How fast a file is sent: a multiple of real time.",
        auto=f"max for the embedded endpoint, else {REMOTE_SPEED:g}",
        low=0.01,
        unlimited=True,
        commands=TALK | {"send"},
        everyday=True,
    )
    connect_timeout_s: float = setting(
        10.0,
        "--connect-timeout TIME",
        "To reach and configure the endpoint [{default}].",
        doc="For the connection and the configuration of the session together.",
        low=0.1,
        high=3600,
        commands=ENDPOINT,
    )
    drain_timeout_s: float | None = setting(
        None,
        "--drain-timeout TIME",
        "Silence before a final is given up.",
        doc="Silence from the endpoint at the end, after which a missing final is given up.",
        auto=f"{EMBEDDED_DRAIN_S:g} for the embedded endpoint, which shares this machine, else {DRAIN_S:g}",
        low=0.1,
        high=3600,
        commands=BENCH | CONVERSATION,
    )
    retry_for_s: float | None = setting(
        None,
        "--retry-for TIME",
        f"Longest outage [{RETRY_FINITE_S / 60:g}m, live {RETRY_LIVE_S / 60:g}m].",
        doc="How long an outage is waited out.",
        auto=f"{RETRY_LIVE_S / 60:g} m for a live source, {RETRY_FINITE_S / 60:g} m for others",
        low=0,
        commands=RUN | CONVERSATION,
    )
    catch_up: float | None = setting(
        None,
        "--catch-up X",
        f"Times real time after one, or max [{REMOTE_CATCH_UP:g}].",
        doc="What waits after an outage is sent so many times faster than real time.",
        auto=f"max for the embedded endpoint, else {REMOTE_CATCH_UP:g}",
        low=1,
        unlimited=True,
        commands=RUN | TALK,
    )
    max_session_s: float | None = setting(
        None,
        "--max-session TIME",
        "Longest life of a connection.",
        doc="A connection hands over to a new one before it is so old.",
        auto="when the endpoint says that it expires",
        low=1,
        commands=RUN | TALK,
    )
    on_full: OnFull = setting(
        "spool",
        "--on-full HOW",
        "A minute waits: {choices:, } [{default}].",
        doc="When more than a minute of a live source waits to be sent: spool (to a temporary file, at most 1 GiB), "
        "drop-oldest (a minute stays, nothing goes to disk) or fail (no more is captured). Files and rt send - wait "
        "instead.",
        commands=STREAM,
    )
    max_cost: float | None = setting(
        None,
        "--max-cost AMOUNT",
        "End when it has cost so much (price_per_minute).",
        doc="End, as at the end of the source, when what is sent costs so much at price_per_minute.",
        auto="never",
        low=0.0001,
    )
