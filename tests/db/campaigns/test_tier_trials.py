"""What a tier policy would give on entry, reckoned from the benefits that there are."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.tier_trials import entry_costs, try_version
from loyalty.kit.clock import utc_now
from loyalty.kit.crypto import Keyring
from loyalty.kit.programme import Programme
from loyalty.members.identity import phone_identity, register
from redemption.benefits.definition import Coupon, DaysFromIssue, Definition, Gift, Gives, MoneyOff
from redemption.benefits.templates import publish_definition, retire, save_draft
from redemption.terms import FixedOff, PercentOff, Terms
from tests.db.tiers.conftest import make_ladder
from tiers.qualification import record
from tiers.versions import create_draft

BOTH = {"zh": "礼", "en": "Gift"}
KEYRING = Keyring.generate()


def _defined(gives: Gives, *tiers: str, cost_minor: int | None = None) -> Definition:
    return Definition(
        name=BOTH, gives=gives, validity=DaysFromIssue(days=30), on_tiers=tiers, cost_minor=cost_minor, claimable=True
    )


def _off(amount_minor: int, currency: str = "CNY") -> MoneyOff:
    return MoneyOff(amount_minor=amount_minor, currency=currency)


async def _publish(connection: AsyncConnection, programme_id: UUID, *definitions: Definition) -> None:
    for number, definition in enumerate(definitions):
        await publish_definition(
            connection, programme_id=programme_id, code=f"entry-{number}", definition=definition, actor="li.na"
        )


async def test_entry_costs_are_what_templates_state_or_take_off_in_the_programmes_currency(
    connection: AsyncConnection, programme: Programme
) -> None:
    fixed, percent = FixedOff(amount_minor=700), PercentOff(percent_bp=2_000)
    await _publish(
        connection,
        programme.id,
        _defined(_off(2_000), "silver", "gold"),
        _defined(Coupon(terms=Terms(currency="CNY", effect=fixed)), "gold"),
        _defined(_off(50_000), "gold", cost_minor=0),  # what it states counts, and not what it takes off
        _defined(Gift(item=BOTH), "gold", cost_minor=4_000),
        _defined(_off(9_000, "USD"), "silver"),  # no rate is known: nothing known
        _defined(_off(9_000, "USD"), "silver", cost_minor=300),
        _defined(Coupon(terms=Terms(currency="CNY", effect=percent)), "black"),
        _defined(_off(80_000)),  # nobody is given it for a tier
    )
    costs = await entry_costs(connection, programme_id=programme.id)
    assert costs == {"silver": 2_000 + 300, "gold": 2_000 + 700 + 4_000, "black": 0}


async def test_drafts_and_retired_benefits_cost_nothing(connection: AsyncConnection, programme: Programme) -> None:
    await save_draft(
        connection, programme_id=programme.id, code="later", definition=_defined(_off(2_000), "silver"), actor="li.na"
    )
    await _publish(connection, programme.id, _defined(_off(3_000), "silver"))
    assert await entry_costs(connection, programme_id=programme.id) == {"silver": 3_000}
    await retire(connection, programme_id=programme.id, code="entry-0", actor="li.na")
    assert await entry_costs(connection, programme_id=programme.id) == {}


async def test_a_trial_counts_what_its_moves_would_give(connection: AsyncConnection, programme: Programme) -> None:
    await _publish(connection, programme.id, _defined(_off(2_000), "silver"), _defined(_off(9_000), "gold"))
    for number, amount in enumerate((100, 500, 600)):
        joined = await register(
            connection,
            KEYRING,
            programme_id=programme.id,
            channel_code="online",
            identities=[phone_identity(f"+8619900008{number:03d}")],
            joined_at=utc_now(),
        )
        await record(
            connection,
            programme_id=programme.id,
            member_id=joined.member.id,
            metric="growth",
            at=utc_now(),
            amount=amount,
        )
    draft = await create_draft(
        connection, programme_id=programme.id, policy=make_ladder().policy(), title="", by="li.na"
    )
    stored = await try_version(connection, programme_id=programme.id, version=draft.version, by="li.na")
    assert (stored.result.members, stored.result.entry_cost_minor) == (3, 2 * 2_000)
