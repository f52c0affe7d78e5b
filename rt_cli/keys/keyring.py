"""Access to the keyring of the system, which may be missing, locked, slow or broken.

An account is a host, or a profile at a host: a stored key is used for no other host.
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
"""Long, because a keyring may prompt for its passphrase."""


def accounts_of(address: Address, profile: str | None) -> list[str]:
    """Return the account names for the key of an address. The first account with a key takes precedence."""
    host = address.host if address.port is None else f"{address.host}:{address.port}"
    return [f"{profile}@{host}", host] if profile else [host]


def stored_key(accounts: list[str]) -> str | None:
    """Return the first key stored under one of the accounts; None without a key or without a keyring."""
    if find_spec("keyring") is None:
        return None
    import keyring

    try:
        return _call_with_deadline(
            lambda: next(filter(None, (keyring.get_password(SERVICE, name) for name in accounts)), None)
        )
    except UsageError as error:
        # Not an error here: the endpoint may need no key, and a missing key is reported later.
        log.debug("%s", error)
        return None


def store(account: str, key: str) -> str:
    """Store a key, and return the name of the keyring. Raises UsageError."""
    keyring = module()
    _call_with_deadline(lambda: keyring.set_password(SERVICE, account, key), key)
    return printable(str(keyring.get_keyring().name))


def remove(account: str) -> bool:
    """Remove a key; False if none is stored. Raises UsageError."""
    keyring = module()
    if _call_with_deadline(lambda: keyring.get_password(SERVICE, account)) is None:
        return False
    _call_with_deadline(lambda: keyring.delete_password(SERVICE, account))
    return True


def module() -> ModuleType:
    """Import and return the keyring library. Raises UsageError if it is not installed."""
    try:
        import keyring
    except ImportError:
        raise UsageError(
            "no keyring library is installed", "pip install 'rt-cli[keyring]'", code="no_keyring"
        ) from None
    return keyring


def _call_with_deadline(call: Callable[[], T], secret: str = "") -> T:
    """Call the keyring in a thread, with a deadline. Error messages have the secret masked."""
    answers: list[T] = []
    failures: list[Exception] = []

    def work() -> None:
        try:
            answers.append(call())
        except Exception as exc:  # noqa: BLE001 - keyring backends raise any type
            failures.append(exc)

    worker = threading.Thread(target=work, name="keyring", daemon=True)
    worker.start()
    worker.join(DEADLINE_S)
    if failures:
        message = masked(printable(str(failures[0]).partition("\n")[0]))
        message = message.replace(secret, "***") if secret else message
        raise _keyring_error(message or type(failures[0]).__name__) from None
    if not answers:
        raise _keyring_error(f"no answer within {DEADLINE_S:g} s")
    return answers[0]


def _keyring_error(message: str) -> UsageError:
    hint = "is it there, and unlocked? else use --api-key-file, --api-key-cmd or RT_API_KEY"
    return UsageError(f"the keyring does not work ({message.rstrip('.')})", hint, code="no_keyring")
