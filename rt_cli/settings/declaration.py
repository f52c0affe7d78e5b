"""The declaration of a setting: what options, loader, example file, completion and reference are made from.

It is the metadata of the setting's field, so that a new option is one declaration and its use.
"""

import math
from collections.abc import Callable
from dataclasses import Field, dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")

RUN = frozenset({"stream", "send"})
STREAM = frozenset({"stream"})
BENCH = RUN | {"bench"}
TALK = frozenset({"talk"})
CONVERSATION = TALK | {"ask", "say"}
ALL = BENCH | {"doctor"}
LISTS = frozenset({"doctor", "models"})
ENDPOINT = ALL | CONVERSATION | LISTS
"""Commands that take an option."""

_KEY = "declaration"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is known of a setting beside its name, its type and its default."""

    option: str = ""
    """Names and metavar, as ``--model -m NAME``; empty: the command line has no such option."""
    help: str = ""
    """One line for ``--help``. ``{default}``, ``{low}``, ``{high}`` and ``{choices}`` are filled in; ``{choices:, }``
    is with this separator."""
    doc: str = ""
    """Whole sentences for the example file and the reference: meaning and unit, without range and default."""
    auto: str = ""
    """What None means, to follow ``auto:``."""
    low: float = -math.inf
    high: float = math.inf
    """Range of a number, in the unit of its field."""
    repeated: bool = False
    """A flag that is counted: ``-vv`` is 2."""
    unlimited: bool = False
    """A number that accepts ``max``, which means infinity."""
    examples: tuple[str, ...] = ()
    """Values that completion offers for a text. A Literal has its own."""
    sample: str = ""
    """A line for the example file, if the setting is a table."""
    commands: frozenset[str] = RUN
    """Commands that take the option."""
    everyday: bool = False
    """Listed by the short help of a command with many options."""
    changes_result: bool = False
    """Part of the marks of ``--skip-done``: a file is sent again if the value is another one."""
    belongs_to_url: bool = False
    """Discarded by a layer with another URL: a key goes only to the URL of its own layer."""
    only: Literal["profiles", "rt"] | None = None
    """``profiles``: not allowed in tables and environment. ``rt``: set by options only."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the option, the long one first."""
        return tuple(word for word in self.option.split() if word.startswith("-"))

    @property
    def metavar(self) -> str | None:
        """The placeholder of the value; None for a flag."""
        return " ".join(word for word in self.option.split() if not word.startswith("-")) or None


def setting(default: T, option: str = "", text: str = "", **more: Any) -> T:
    """Declare a setting, as a field of a dataclass.

    Args:
        default: Of the field.
        option: As :attr:`Declaration.option`.
        text: As :attr:`Declaration.help`.
        more: The other fields of :class:`Declaration`.

    Returns:
        A field; typed as its value, which is what the dataclass has.
    """
    declared: Any = field(default=default, metadata={_KEY: Declaration(option, text, **more)})
    return declared  # type: ignore[no-any-return]


def table(content: Callable[[], T], title: str) -> T:
    """Declare a table of settings: its class, and its heading in ``--help-all``."""
    declared: Any = field(default_factory=content, metadata={_KEY: title})
    return declared  # type: ignore[no-any-return]


def is_declared(field: "Field[Any]") -> bool:
    """Return whether a field is a setting: what the loader alone sets has no declaration."""
    return _KEY in field.metadata


def declaration_of(of: "Field[Any]") -> Declaration:
    """Return the declaration of a setting."""
    declared: Declaration = of.metadata[_KEY]
    return declared


def title_of(of: "Field[Any]") -> str:
    """Return the heading of a table."""
    title: str = of.metadata[_KEY]
    return title
