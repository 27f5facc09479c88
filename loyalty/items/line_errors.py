"""What is wrong with the lines of a file that is taken whole or not at all."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from loyalty.kit.errors import FieldError, InvalidInputError

ERRORS_TOLD: Final = 20
"""Lines at fault that are told; reading stops there."""
_IN_SHORT: Final = 3


class LineError(msgspec.Struct, frozen=True):
    """What is wrong with a line of the file, counted from 1."""

    line: int
    reason: str


class LinesError(InvalidInputError):
    """A file that cannot be taken: none of it was. `lines` are the first ones at fault."""

    undone: ClassVar[str]
    """What was not done, in the words of its message."""

    def __init__(self, lines: list[LineError]) -> None:
        told = "; ".join(f"line {each.line}: {each.reason}" for each in lines[:_IN_SHORT])
        more = f"; and {len(lines) - _IN_SHORT} more" if len(lines) > _IN_SHORT else ""
        super().__init__(f"{self.undone}. {told}{more}", lines=[msgspec.structs.asdict(each) for each in lines])
        self.lines: Final = lines

    @property
    def errors(self) -> list[FieldError]:
        """Each line at fault as a field."""
        return [FieldError(f"lines[{each.line}]", each.reason) for each in self.lines]
