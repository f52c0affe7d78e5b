"""The border to the keyring of the system, which may be missing, locked, slow or broken.

A key is stored for a host, or for a profile at a host, and so it goes nowhere else.
"""

from __future__ import annotations

import logging
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from rt_cli.errors import UsageError
from rt_cli.protocol.sanitize import masked, printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from rt_cli.protocol.endpoint.url import Address

log = logging.getLogger("rt.keys")
T = TypeVar("T")

SERVICE = "rt"
DEADLINE_S = 60.0
"""A keyring may ask for its passphrase."""


def accounts_of(address: Address, profile: str | None) -> list[str]:
    """The names under which a key for an address may be stored, the first one that is found counts."""
    place = address.host if address.port is None else f"{address.host}:{address.port}"
    return [f"{profile}@{place}", place] if profile else [place]


def stored_key(accounts: list[str]) -> str | None:
    """The first key that is stored under one of the names; None where there is none, or no keyring."""
    if find_spec("keyring") is None:
        return None
    import keyring

    try:
        return _patiently(lambda: next(filter(None, (keyring.get_password(SERVICE, name) for name in accounts)), None))
    except UsageError as error:
        # The endpoint may need no key; if it does, it says so.
        log.debug("%s", error)
        return None


def store(account: str, key: str) -> str:
    """Store a key; returns the name of the keyring. Raises UsageError."""
    keyring = module()
    _patiently(lambda: keyring.set_password(SERVICE, account, key), key)
    return printable(str(keyring.get_keyring().name))


def remove(account: str) -> bool:
    """Remove a key; False if none is stored. Raises UsageError."""
    keyring = module()
    if _patiently(lambda: keyring.get_password(SERVICE, account)) is None:
        return False
    _patiently(lambda: keyring.delete_password(SERVICE, account))
    return True


def module() -> ModuleType:
    """The library that speaks to the keyring. Raises UsageError where it is not installed."""
    try:
        import keyring
    except ImportError:
        raise UsageError(
            "no keyring library is installed", "pip install 'rt-cli[keyring]'", code="no_keyring"
        ) from None
    return keyring


def _patiently(ask: Callable[[], T], secret: str = "") -> T:
    """Ask the keyring, but not for ever."""
    answers: list[T] = []
    failures: list[Exception] = []

    def work() -> None:
        try:
            answers.append(ask())
        except Exception as exc:  # noqa: BLE001 - each keyring raises what it likes
            failures.append(exc)

    worker = threading.Thread(target=work, name="keyring", daemon=True)
    worker.start()
    worker.join(DEADLINE_S)
    if failures:
        said = masked(printable(str(failures[0]).partition("\n")[0]))
        said = said.replace(secret, "***") if secret else said
        raise _useless(said or type(failures[0]).__name__) from None
    if not answers:
        raise _useless(f"no answer within {DEADLINE_S:g} s")
    return answers[0]


def _useless(said: str) -> UsageError:
    hint = "is it there, and unlocked? else use --api-key-file, --api-key-cmd or RT_API_KEY"
    return UsageError(f"the keyring does not work ({said.rstrip('.')})", hint, code="no_keyring")
