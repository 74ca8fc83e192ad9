"""Whole numbers in text that a user wrote."""

from __future__ import annotations

_LONGEST = 18
"""Digits of the longest number that is read: every such number fits into 64 bits."""


def whole_number(text: str) -> int | None:
    """Return the number that a text of the digits 0 to 9 writes, or None for any other text.

    ``str.isdigit`` is no such test: it also accepts ``²``, which ``int`` refuses, and numbers of any length, of which
    ``int`` refuses those with more than 4,300 digits. Space around the number is ignored.
    """
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None
