"""Proofs of draws, made once: what was drawn never changes, and anybody may ask for it at any time."""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.campaigns.draws.draw import Draw
from loyalty.campaigns.draws.settling import prove
from loyalty.kit.db import transaction

PATH: Final = r"^/draws/[^/]+/proof\.json$"
"""Where a proof is. Caches keep it for everybody: it comes without a cookie, and compressed already."""
MOST_PROOFS: Final = 4
"""Kept in a process, those asked for last. The largest, of a million tickets, has some 9 MB when compressed."""
_LEVEL: Final = 6


class Proofs:
    """The proofs that this process has made. One is made at a time, whoever else waits for one."""

    def __init__(self) -> None:
        self._made: OrderedDict[UUID, bytes] = OrderedDict()
        self._making = asyncio.Lock()

    async def find(self, engine: AsyncEngine, draw: Draw) -> bytes:
        """The proof of a draw as JSON, compressed by gzip. Raises DrawNotClosedError before it was drawn."""
        async with self._making:
            proof = self._made.get(draw.id)
            if proof is None:
                async with transaction(engine) as connection:
                    said = await prove(connection, draw)
                proof = await asyncio.to_thread(_pack, said)
                self._made[draw.id] = proof
            self._made.move_to_end(draw.id)
            while len(self._made) > MOST_PROOFS:
                self._made.popitem(last=False)
        return proof


def _pack(said: dict[str, Any]) -> bytes:
    return gzip.compress(msgspec.json.encode(said), _LEVEL, mtime=0)
