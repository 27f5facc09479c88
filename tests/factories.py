"""Small things that many tests need, made through the product's own functions."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.programme import Programme, create_channel, create_programme


async def make_programme(connection: AsyncConnection) -> Programme:
    """A programme in Shanghai with an online shop, `online`, and a store, `store-1`."""
    programme = await create_programme(
        connection,
        code=f"brand-{uuid4().hex[:12]}",
        name="Brand",
        time_zone="Asia/Shanghai",
        currency="CNY",
        locale="zh",
    )
    await create_channel(connection, programme, code="online", name="Online shop", kind="online")
    await create_channel(connection, programme, code="store-1", name="Store 1", kind="store")
    return programme
