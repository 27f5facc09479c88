"""Many postings in one round trip: what an import needs, which would otherwise wait for the network at each one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import refusals
from ledger.posting import UNIT_POLICY, Posting, check_text, fingerprint, posting_of


class Earn(msgspec.Struct, frozen=True, kw_only=True):
    """One earn of a batch, with the arguments of `posting.earn`. It expires by its unit's policy."""

    member_id: UUID
    unit: str
    amount: int
    key: str
    source: str
    rule_version: str | None = None
    effective_at: datetime | None = None


_EARN: Final = text("""
    SELECT posting.*
    FROM unnest(
        CAST(:members AS uuid[]), CAST(:units AS text[]), CAST(:amounts AS bigint[]), CAST(:keys AS text[]),
        CAST(:hashes AS bytea[]), CAST(:sources AS text[]), CAST(:rules AS text[]), CAST(:effective AS timestamptz[])
    ) WITH ORDINALITY AS asked (member_id, unit, amount, key, hash, source, rule, effective, place)
    CROSS JOIN LATERAL ledger.earn(
        p_programme => :programme, p_member => asked.member_id, p_unit => asked.unit, p_amount => asked.amount,
        p_key => asked.key, p_hash => asked.hash, p_source => asked.source, p_rule => asked.rule,
        p_effective => asked.effective
    ) AS posting
    ORDER BY asked.place
""")
"""The function is called for each row in the order of the arrays: it is volatile, and they are scanned once."""


async def earn_many(connection: AsyncConnection, *, programme_id: UUID, earns: Sequence[Earn]) -> list[Posting]:
    """Post earns in their order, exactly as `posting.earn` posts each, and answer each posting.

    Give members in the order of their ids: accounts are locked as they come, and two batches that lock them in one
    order do not deadlock. One that is refused undoes all. Raises as `posting.earn` does.
    """
    if not earns:
        return []
    for earn in earns:
        for field, value in (("key", earn.key), ("source", earn.source), ("rule", earn.rule_version)):
            check_text(field, value)
    with refusals():
        rows = await connection.execute(
            _EARN,
            {
                "programme": programme_id,
                "members": [earn.member_id for earn in earns],
                "units": [earn.unit for earn in earns],
                "amounts": [earn.amount for earn in earns],
                "keys": [earn.key for earn in earns],
                "hashes": [
                    fingerprint(
                        "earn", earn.unit, earn.amount, earn.rule_version, earn.effective_at, UNIT_POLICY, None, 0
                    )
                    for earn in earns
                ],
                "sources": [earn.source for earn in earns],
                "rules": [earn.rule_version for earn in earns],
                "effective": [earn.effective_at for earn in earns],
            },
        )
    return [posting_of(row) for row in rows]
