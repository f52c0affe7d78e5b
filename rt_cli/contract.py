"""What the events of the contract for scripts have in common."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

SINCE_0_2 = Meta(extra={"since": "0.2"})


class ContractEvent(Struct, frozen=True, tag_field="type", kw_only=True):
    """An event of the contract for scripts: the fields of its class are the fields of its NDJSON line, in this order.

    A field that may be absent is UNSET then; None is ``null``. Lines of several sources also have ``source`` and
    ``channel``, after ``type``.
    """

    since: ClassVar[str] = "0.1"
    """Version that brought the event."""
    at: Annotated[str | UnsetType, SINCE_0_2] = UNSET
    """Wall clock when the event happened: UTC, ISO 8601 with milliseconds. Set for every line."""
