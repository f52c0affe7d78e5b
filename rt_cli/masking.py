"""Masks secrets in text: the keys of this run by value, and everything else that looks like a key.

Everything that an endpoint says, and everything that is printed, logged or recorded, passes through here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MASK = "***"
SHORTEST_KEY = 8
"""Characters. Shorter texts are not keys, and may be part of ordinary words."""
_MIN_ODD_CHARS = 5
"""The same for texts with more than letters in them."""
_MIN_DIGITS, _MIN_RANDOM_CHARS = 2, 20
_SHAPES = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[^\s\"',;]+"),
    re.compile(r"\b((?:sk|ek|rk)[-_])[\w*.-]{4,}"),
    re.compile(
        r"(?i)((?:api[-_]?key|token|secret|password|signature)[\"']?\s*[=:]\s*[\"']?)"
        r"(?!\*\*\*|\.\.\.|(?<=: )[a-z]{1,4} )[^\s\"'&;,{}\[\]]+"
    ),
    re.compile(r"(?i)([?&](?:key|sig|code)=)[^\s\"'&]+"),
    re.compile(r"(://)[^\s/?#@]{1,1000}(?=@)"),
)
_LONG_KEYS = re.compile(r"\b((?:sk|ek|rk)[-_])[\w*.-]{16,}|(openai-insecure-api-key\.)[^\s\",]+")
"""Keys of providers, as no ordinary word looks: safe for what was spoken."""
_PARAMETERS = re.compile(r"(?i)(?:key|token|secret|password|signature|credential)$|^(?:sig|auth|code|pwd)$")
_FIELDS = re.compile(r"(?i)(?:secret|password|authorization|api[-_]?key|[-_]token)$")
_ESCAPES = re.compile(r"\\(?:u00([2-7][0-9a-fA-F])|(.))", re.DOTALL)


def _is_certain(text: str) -> bool:
    return len(text) >= (SHORTEST_KEY if text.isalpha() else _MIN_ODD_CHARS)


def _is_random(text: str) -> bool:
    """Whether a header value is more likely a key than a name, a region or a date."""
    digits = sum(map(str.isdigit, text))
    return any(map(str.isalpha, text)) and (
        digits >= _MIN_DIGITS or (len(text) >= _MIN_RANDOM_CHARS and " " not in text)
    )


def _spellings(texts: Collection[str]) -> tuple[str, ...]:
    """Return the texts as they are, in a URL and in JSON; the longest first."""
    if not texts:
        return ()
    # Import here: most commands have no secret.
    import json
    from urllib.parse import quote, quote_plus, unquote

    found: dict[str, None] = {}
    for text in texts:
        plain = (text, quote(text, safe=""), quote(text), quote_plus(text), unquote(text), json.dumps(text)[1:-1])
        found |= dict.fromkeys(plain)
        if "/" in text:  # which some languages escape in JSON
            found |= dict.fromkeys(text.replace("/", escape) for escape in ("\\/", "\\u002f", "\\u002F"))
    return tuple(sorted((text for text in found if _is_certain(text)), key=len, reverse=True))


def _whole_words(texts: Iterable[str]) -> re.Pattern[str] | None:
    words = sorted((text for text in texts if text.strip()), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)") if words else None


class Secrets:
    """Texts to mask, in each spelling that a message may have.

    Args:
        keys: Keys and passwords.
        values: Values of extra headers: perhaps keys, perhaps ordinary words.
    """

    def __init__(self, keys: Iterable[str] = (), values: Iterable[str] = ()) -> None:
        keys, values = set(keys), set(values)
        certain = {text for text in keys if _is_certain(text)}
        certain |= {text for text in values if _is_certain(text) and _is_random(text)}
        self._certain = _spellings(certain)
        self._doubtful = _whole_words((keys | values) - certain)
        self._keys, self._values = keys, values

    def __or__(self, other: Secrets) -> Secrets:
        return Secrets(self._keys | other._keys, self._values | other._values)

    def includes(self, other: Secrets) -> bool:
        """Return whether these are all texts of the other, and perhaps more."""
        return self._keys >= other._keys and self._values >= other._values

    def mask(self, text: str) -> str:
        """Mask the texts that no ordinary sentence has: safe for what was spoken."""
        for secret in self._certain:
            if secret in text:
                text = text.replace(secret, MASK)
        return self._mask_end(text)

    def mask_all(self, text: str) -> str:
        """Mask all texts, also those that may be ordinary words: for error messages of others."""
        text = self.mask(text)
        return text if self._doubtful is None else self._doubtful.sub(MASK, text)

    def mask_bytes(self, data: bytes) -> bytes:
        """Mask the texts of :meth:`mask` in binary data."""
        for secret in self._certain:
            data = data.replace(secret.encode(), MASK.encode())
        return data

    def _mask_end(self, text: str) -> str:
        """Mask the start of a secret at the end of a text: others cut messages, close reasons at 123 bytes."""
        for secret in self._certain:
            at = text.rfind(secret[:SHORTEST_KEY], max(0, len(text) - len(secret)))
            if at >= 0 and secret.startswith(text[at:]):
                return text[:at] + MASK
        return text


_of_the_run = Secrets()


def protect(keys: Iterable[str] = (), values: Iterable[str] = ()) -> None:
    """Mask these texts from now on, wherever this process writes.

    Args:
        keys: Keys and passwords.
        values: Values of extra headers: perhaps keys, perhaps ordinary words.
    """
    global _of_the_run  # noqa: PLW0603 - the one list of this process; replaced whole, so that any thread may read it
    more = Secrets(keys, values)
    if not _of_the_run.includes(more):
        _of_the_run |= more


def without_secrets(text: str) -> str:
    """Mask the secrets of the run. Safe for what was spoken: ordinary words stay."""
    return _of_the_run.mask(text)


def without_secret_bytes(data: bytes) -> bytes:
    """Mask the secrets of the run in binary data."""
    return _of_the_run.mask_bytes(data)


def masked(text: str) -> str:
    """Mask the secrets of the run, and everything that looks like a key, a token or a password."""
    text = _of_the_run.mask(text)
    for shape in _SHAPES:
        text = shape.sub(rf"\1{MASK}", text)
    return text


def masked_keys(text: str) -> str:
    """Mask the secrets of the run, and keys of providers. Safe for what was spoken."""
    return _LONG_KEYS.sub(lambda found: f"{found[1] or found[2]}{MASK}", without_secrets(text))


def is_secret_parameter(name: str) -> bool:
    """Return whether a parameter of a URL has the name of a secret."""
    return _PARAMETERS.search(name) is not None


def is_secret_field(name: str) -> bool:
    """Return whether a field of JSON, or a header, has the name of a secret."""
    return _FIELDS.search(name) is not None


def masked_foreign(text: str) -> str:
    """Mask as :func:`masked`, and also what may be an ordinary word: for the error messages of others."""
    return masked(_of_the_run.mask_all(text))


def plain_escapes(message: str) -> str:
    r"""Undo JSON escapes that are not needed (``\/``, ``\u0073``), which would hide a secret. The JSON means the same.

    Args:
        message: JSON, or any text.
    """
    if "\\/" not in message and "\\u00" not in message:
        return message
    return _ESCAPES.sub(_plain_escape, message)


def _plain_escape(found: re.Match[str]) -> str:
    if found[1] is None:
        return "/" if found[2] == "/" else found[0]
    character = chr(int(found[1], 16))
    return found[0] if character in '"\\\x7f' else character
