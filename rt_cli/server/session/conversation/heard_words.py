"""The words of a reply of which only the beginning was heard. Pure."""

from __future__ import annotations


def heard_words(text: str, heard: int, generated: int) -> str:
    """Return the first words of a transcript, in proportion to the samples that were heard.

    A word that is cut is left out; a text without spaces is cut between characters.

    Args:
        text: Transcript of all generated samples.
        heard: Samples that were heard.
        generated: At least ``heard``; 0: the text has no sound, and is returned whole.
    """
    end = len(text) * heard // generated if generated else len(text)
    begun, rest = text[:end], text[end:]
    is_cut = bool(rest) and not rest[0].isspace() and bool(begun) and not begun[-1].isspace()
    if is_cut and len(text.split()) > 1:
        begun = begun.removesuffix(begun.split()[-1])
    return begun.rstrip() if rest else text
