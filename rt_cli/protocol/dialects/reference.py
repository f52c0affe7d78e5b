"""The dialects as a table for people, from the registry. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.dialects import DIALECTS

if TYPE_CHECKING:
    from rt_cli.protocol.dialects.dialect import Conversations, Dialect

_HEAD = (
    *("`--dialect`", "endpoint", "chosen by host", "key", "rate", "turns by"),
    *("words while you speak", "exact times", "`rt talk`"),
)


def dialect_reference() -> str:
    """Return a Markdown table of all dialects. ``exact times`` is also whether a replay doubles nothing."""
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_row, DIALECTS.values())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _talk(conversations: Conversations | None) -> str:
    if conversations is None:
        return "no"
    limits = (
        "always spoken" if conversations.always_speaks else "",
        "`cut`" if "conversation.item.truncate" in conversations.lacks else "",
    )
    return ": ".join(filter(None, ("yes", ", ".join(filter(None, limits)))))


def _row(dialect: Dialect) -> tuple[str, ...]:
    hosts = ", ".join(f"`{'*' if host.startswith('.') else ''}{host}`" for host in dialect.hosts)
    return (
        f"`{dialect.name}`",
        dialect.title or dialect.name,
        hosts or "no: name it",
        f"`{dialect.key_variable or 'RT_API_KEY'}`",
        f"{dialect.rate_hz / 1000:g} kHz",
        dialect.turns_by,
        "yes" if dialect.partials else "no",
        "yes" if dialect.exact else "no: `approx`",
        _talk(dialect.conversations),
    )
