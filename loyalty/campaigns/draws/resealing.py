"""After a key rotation: seeds that are still to be revealed are sealed anew."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.draws.draw import SEED_FIELD
from loyalty.campaigns.draws.tables import draw_table
from loyalty.kit.crypto import HEAD_BYTES, Keyring


async def reseal_seeds(connection: AsyncConnection, keyring: Keyring, *, limit: int = 500) -> int:
    """Seal up to `limit` seeds of draws that are still to be drawn with the current key; answers how many it was.

    0 means that no draw needs an old key any more, but those that another transaction holds: they come next time. A
    seed that was revealed, or whose draw was withdrawn, is never opened again and stays as it is. Raises KeyringError
    where a seed was sealed by a key that is gone.
    """
    columns = draw_table.c
    old = (
        select(columns.id, columns.sealed_seed)
        .where(columns.seed.is_(None), columns.withdrawn_at.is_(None))
        .where(func.substring(columns.sealed_seed, 1, HEAD_BYTES) != keyring.head)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = (await connection.execute(old)).all()
    if found:
        await connection.execute(
            update(draw_table).where(columns.id == bindparam("draw")).values(sealed_seed=bindparam("sealed")),
            [
                {"draw": row.id, "sealed": keyring.reseal(bytes(row.sealed_seed), owner=row.id, field=SEED_FIELD)}
                for row in found
            ],
        )
    return len(found)
