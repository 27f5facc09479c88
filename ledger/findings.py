"""What a verification finds."""

from __future__ import annotations

from uuid import UUID

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not follow, and where: an account, one of its entries, a seal, a file outside."""

    member_id: UUID | None = None
    unit: str | None = None
    sequence: int | None = None
    """The first wrong entry; None for a projection of an account whose entries are right."""
    seal: int | None = None
    file: str | None = None
    problem: str


class Verification(msgspec.Struct, kw_only=True):
    """What a verification went through and what it found: the first wrong entry of an account, or its projections."""

    accounts: int = 0
    entries: int = 0
    seals: int | None = None
    """How many seals of the database were checked; None where seals were not looked at."""
    findings: list[Finding] = []

    @property
    def passed(self) -> bool:
        """Whether everything follows from the entries."""
        return not self.findings


def gone(first: int, last: int) -> str:
    """How a removed tail is called."""
    return f"entry {first} is gone" if first == last else f"entries {first} to {last} are gone"
