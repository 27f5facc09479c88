"""What is wrong with an event or a document: each fault with its JSON path and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from loyalty.kit.errors import ConflictError, FieldError, InvalidInputError

MOST_FAULTS: Final = 50
"""Faults told of one event; who mends those will hear of the others."""


class Fault(msgspec.Struct, frozen=True):
    """One fault, such as `$.sensorElementList[0].sensorReport[1].value`, `Expected number, got str`."""

    path: str
    reason: str


class InvalidEventError(InvalidInputError):
    """An event or document that is not EPCIS 2.0; `errors` names each fault by its JSON path."""

    type = "invalid-epcis"
    title = "This is not a valid EPCIS event or document"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.reason}" for fault in faults[:3]), field=faults[0].path)
        self.faults = list(faults[:MOST_FAULTS])

    @property
    def errors(self) -> list[FieldError]:
        """Each fault, by path."""
        return [FieldError(fault.path, fault.reason) for fault in self.faults]


class EventExistsError(ConflictError):
    """An event with this eventID was captured before; only an error declaration repeats one."""

    type = "epcis-event-exists"
    title = "An event with this eventID is there already"


def shape_fault(message: str, path: str) -> Fault:
    """A fault from msgspec's sentence (`Expected str, got int - at $.a[0]`), put under the path of the whole."""
    reason, _, place = message.partition(" - at `$")
    where = path + place.rstrip("`")
    for opening in ("Object missing required field `", "Object contains unknown field `"):
        if reason.startswith(opening):
            where = f"{where}.{reason.removeprefix(opening).rstrip('`')}"
            reason = "is required" if "missing" in opening else "is not a field of this"
    return Fault(where, reason.replace("`", "").replace("Expected", "expected", 1))
