"""The shop of orders, with campaigns in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.bonus import campaign as lifecycle
from loyalty.campaigns.bonus.campaign import Campaign
from loyalty.campaigns.bonus.definition import CampaignTerms, FixedBonus, Reward
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from tests.db.channels.orders.conftest import Shop, open_shop

NAME = {"zh": "活动", "en": "Campaign"}


class CampaignShop:
    """A shop whose orders are placed now, and short forms of what happens to its campaigns."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.connection, self.programme_id = shop, shop.connection, shop.programme.id

    async def draft(self, reward: Reward = FixedBonus(points=50), code: str | None = None, **terms: Any) -> Campaign:  # noqa: B008
        return await lifecycle.create_campaign(
            self.connection,
            programme_id=self.programme_id,
            code=code or f"c-{uuid4().hex[:12]}",
            draft=msgspec.to_builtins(CampaignTerms(name=NAME, reward=reward, **terms)),
            created_by="ann",
        )

    async def publish(self, campaign: Campaign, starts_at: datetime | None = None, **span: Any) -> Campaign:
        return await lifecycle.publish(
            self.connection,
            programme_id=self.programme_id,
            campaign_id=campaign.id,
            seen=campaign.changes,
            by="ann",
            starts_at=starts_at,
            **span,
        )

    async def run(self, reward: Reward = FixedBonus(points=50), **terms: Any) -> Campaign:  # noqa: B008
        return await self.publish(await self.draft(reward, **terms))

    async def order(self, number: str, *lines: Any, **fields: Any) -> int:
        """The points that an order earns in all."""
        result = await self.shop.order(number, *lines, **{"placed_at": utc_now() + timedelta(seconds=1), **fields})
        return result.earned.get("points", 0)


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
async def campaigns(connection: AsyncConnection, keyring: Keyring) -> CampaignShop:
    return CampaignShop(await open_shop(connection, keyring))
