"""Texts as cells of a CSV that a person opens in a spreadsheet."""

from __future__ import annotations

_BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def plain_cell(text: str | None) -> str:
    """A text of anybody's as a cell that no spreadsheet takes for a formula; a phone number keeps its plus."""
    value = text or ""
    if value[:1] in _BEGIN_FORMULAS and not (value[0] == "+" and value[1:].isdecimal()):
        return f"'{value}"
    return value
