"""A till that locks two coupons and goes no further, to be killed: one lock is committed, the other is not yet.

`python -m tests.db.redemption.till_process URL PROGRAMME CHANNEL MEMBER COUPON COUPON`
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from uuid import UUID

from loyalty.kit.db import create_engine, transaction
from redemption import till


async def main(url: str, programme_id: str, channel_id: str, member_id: str, *coupons: str) -> None:
    engine = create_engine(url)
    wanted: dict[str, Any] = {
        "programme_id": UUID(programme_id),
        "channel_id": UUID(channel_id),
        "member_id": UUID(member_id),
        "basket_minor": 9_000,
        "currency": "CNY",
    }
    async with transaction(engine) as connection:
        await till.begin(connection, coupon=coupons[0], key="first", hold_seconds=1, **wanted)
    async with transaction(engine) as connection:
        await till.begin(connection, coupon=coupons[1], key="second", **wanted)
        print("both are locked", flush=True)
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
