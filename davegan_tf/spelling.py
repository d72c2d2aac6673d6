"""Which word may have been meant by a misspelt one."""

from collections.abc import Iterable
from difflib import SequenceMatcher

# Words that are less alike are not taken for each other.
ALIKE = 0.6


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The most similar of some words, None if none is similar."""
    ranked = sorted(((likeness(word, other), other) for other in words), reverse=True)
    return ranked[0][1] if ranked and ranked[0][0] >= ALIKE else None


def likeness(a: str, b: str) -> float:
    """0 … 1: the share of letters that two words have in the same order, whatever their case; - is _."""
    a, b = (word.lower().replace("-", "_") for word in (a, b))
    return SequenceMatcher(None, a, b).ratio()
