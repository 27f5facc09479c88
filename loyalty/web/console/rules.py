"""What a programme agreed to: earn rules, and what points and coupons buy. To be read, not edited."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.earning import BEGINNING, PublishedPolicy, in_force, policies
from loyalty.kit.clock import utc_now
from loyalty.kit.programme import list_channels
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.policy_words import Names, RuleWords, rule_words
from loyalty.web.i18n import Formats, Translator
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from redemption.catalogue import list_items
from redemption.policies import list_policies
from tiers.versions import policy_at


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the earn policy in words. `current` is the one in force now; some hold `from_beginning` of time."""

    version: int
    valid_from: datetime
    from_beginning: bool
    published_at: datetime
    published_by: str
    current: bool
    rules: list[RuleWords]


@get("/rules")
async def show_rules(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The earn policy in force as sentences, and every version before and after it."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        versions = await policies(connection, programme_id=desk.programme.id)
        names = await _names(connection, desk, t)
    now = utc_now()
    current = in_force(versions, now).version if any(each.valid_from <= now for each in versions) else None
    return console_page(
        request,
        "console/rules.html",
        desk,
        section="rules",
        versions=[_policy_view(each, current, desk, t, formats, names) for each in reversed(versions)],
    )


async def _names(connection: AsyncConnection, desk: Desk, t: Translator) -> Names:
    channels = await list_channels(connection, desk.programme.id)
    ladder = await policy_at(connection, programme_id=desk.programme.id, moment=utc_now())
    tiers = ladder.policy.tiers if ladder else ()
    return Names(
        channels={channel.code: channel.name for channel in channels},
        tiers={tier.code: tier.name.get(t.language, tier.code) for tier in tiers},
    )


def _policy_view(
    version: PublishedPolicy, current: int | None, desk: Desk, t: Translator, formats: Formats, names: Names
) -> PolicyView:
    return PolicyView(
        version=version.version,
        valid_from=version.valid_from,
        from_beginning=version.valid_from <= BEGINNING,
        published_at=version.published_at,
        published_by=version.published_by,
        current=version.version == current,
        rules=[rule_words(rule, t, formats, names, currency=desk.programme.currency) for rule in version.policy.rules],
    )


@get("/catalogue")
async def show_catalogue(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """What points buy: money off, gifts, benefits."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        programme_id = desk.programme.id
        items = await list_items(connection, programme_id=programme_id, active_only=False)
        rates = await list_policies(connection, programme_id=programme_id)
    return console_page(
        request,
        "console/catalogue.html",
        desk,
        section="catalogue",
        items=items,
        rates=rates,
    )
