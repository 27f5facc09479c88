"""Everything that is known of one member, read for one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reading import Balance, Expiring, Lot, Place, balances, expiring, history, lots, write_place
from ledger.units import Unit, list_units
from loyalty.campaigns.segments.tags import tags_of
from loyalty.channels.orders.reading import Purchase, purchase_history
from loyalty.items.reading import ClaimedItem, claimed_items
from loyalty.kit.clock import utc_now
from loyalty.kit.ids import public_id
from loyalty.kit.programme import Programme
from loyalty.members.consent import Consent, consent_history
from loyalty.members.directory import StoredIdentity
from loyalty.members.emails import mask_email
from loyalty.members.member import Member, person_ids
from loyalty.members.merge import Merge, list_merges
from loyalty.members.phones import mask_phone
from loyalty.members.profile import Profile, read_profile
from loyalty.web.console.desk import Places, read_places
from loyalty.web.console.entries import Occasion, Told, occasion, tell
from loyalty.web.i18n import Formats, Translator
from loyalty.web.security.staff_actions import StaffAction, list_actions
from loyalty.web.staff.person import Desk
from loyalty.web.state import Services
from loyalty.web.tier_words import metric_text
from redemption.benefits.wallet import Benefit, wallet
from redemption.reading import redemptions_of_member
from redemption.record import Redemption
from tiers.policies import TierPolicy
from tiers.reading import Standing, standing
from tiers.reading import history as tier_history
from tiers.versions import get_published
from tiers.wording import sentence

ENTRIES: Final = 12
"""Entries of the ledger on the page itself; `PAGE` of them on a page of their own."""
LINES: Final = 10
PAGE: Final = 50
LOTS: Final = 100
_SHOWN_OF_A_CODE: Final = 4


class TierLine(msgspec.Struct, frozen=True, kw_only=True):
    """One decision about the tier, in a sentence."""

    at: datetime
    kind: str
    why: str


class IdentityLine(msgspec.Struct, frozen=True, kw_only=True):
    """One way to know the member; `value` is masked unless somebody asked to see it."""

    identity: StoredIdentity
    value: str


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """What the page of a member shows. `older` says where the next page of the ledger begins, None for no more."""

    member: Member
    profile: Profile
    person_ids: list[UUID]
    identities: list[IdentityLine]
    consents: list[Consent]
    tags: list[str]
    seen_by: list[StaffAction]
    standing: Standing | None
    tier_lines: list[TierLine]
    units: list[Unit]
    balances: list[Balance]
    expiring: list[Expiring]
    lots: list[tuple[Lot, Occasion]]
    entries: list[Told]
    older: str | None
    purchases: list[Purchase]
    redemptions: list[Redemption]
    benefits: list[Benefit]
    claims: list[ClaimedItem]
    merges: list[Merge]
    places: Places

    @property
    def points(self) -> Balance:
        """The balance of spendable points."""
        return next((each for each in self.balances if each.unit == "points"), Balance(unit="points"))


async def read_dossier(
    connection: AsyncConnection,
    services: Services,
    desk: Desk,
    member: Member,
    t: Translator,
    formats: Formats,
    *,
    revealed: bool,
) -> Dossier:
    """Read it all. With `revealed` identities are in the clear."""
    programme = desk.programme
    ids = await person_ids(connection, member_id=member.id)
    profile = await read_profile(connection, services.keyring, member_id=member.id)
    places = await read_places(connection, desk, t)
    redemptions = await redemptions_of_member(connection, member_id=member.id, person_ids=ids, limit=LINES)
    told, older = await read_entries(connection, member, ids, places, redemptions, t, limit=ENTRIES)
    merges = {trail.id: trail for each in ids for trail in await list_merges(connection, member_id=each)}
    return Dossier(
        member=member,
        profile=profile,
        person_ids=ids,
        identities=[
            IdentityLine(identity=each, value=each.value if revealed else _masked(each)) for each in profile.identities
        ],
        consents=await consent_history(connection, member_id=member.id),
        tags=await tags_of(connection, member_id=member.id),
        seen_by=await list_actions(connection, programme_id=programme.id, subject_id=member.id),
        standing=await standing(connection, programme_id=programme.id, member_id=member.id, moment=utc_now()),
        tier_lines=await _read_tiers(connection, programme, member, t, formats),
        units=await list_units(connection, programme_id=programme.id),
        balances=await balances(connection, member_id=member.id),
        expiring=await expiring(connection, member_id=member.id),
        lots=[
            (lot, occasion(lot.source, t, channels=places.by_code))
            for lot in await lots(connection, member_id=member.id, limit=LOTS)
        ],
        entries=told,
        older=older,
        purchases=await purchase_history(connection, member_id=member.id, limit=LINES),
        redemptions=redemptions,
        benefits=await wallet(connection, member_id=member.id, person_ids=ids, usable_only=False),
        claims=await claimed_items(connection, member_ids=ids, limit=LINES),
        merges=sorted(merges.values(), key=lambda trail: trail.merged_at),
        places=places,
    )


async def read_entries(
    connection: AsyncConnection,
    member: Member,
    ids: Sequence[UUID],
    places: Places,
    redemptions: Sequence[Redemption],
    t: Translator,
    *,
    limit: int,
    before: Place | None = None,
    unit: str = "points",
) -> tuple[list[Told], str | None]:
    """A page of the person's ledger, under every id they were a member as; and where the next one begins."""
    entries = await history(connection, member_ids=ids, unit=unit, before=before, limit=limit + 1)
    shown = entries[:limit]
    receipts = _receipts(redemptions, places, t)
    told = tell(shown, t, channels=places.by_code, receipts=receipts, present_id=member.id)
    return told, write_place(shown[-1].place) if len(entries) > limit else None


def _receipts(redemptions: Sequence[Redemption], places: Places, t: Translator) -> Mapping[str, str]:
    return {
        f"redemption:{public_id('rdm', each.id)}": t(
            "console.entry.where", channel=places.name(each.channel_id), number=each.receipt_number
        )
        for each in redemptions
        if each.receipt_number is not None
    }


def _masked(identity: StoredIdentity) -> str:
    if identity.kind == "phone":
        return mask_phone(identity.value)
    if identity.kind == "email":
        return mask_email(identity.value)
    return f"****{identity.value[-_SHOWN_OF_A_CODE:]}" if len(identity.value) > _SHOWN_OF_A_CODE else "****"


async def _read_tiers(
    connection: AsyncConnection, programme: Programme, member: Member, t: Translator, formats: Formats
) -> list[TierLine]:
    changes = await tier_history(connection, member_id=member.id)
    ladders: dict[int, TierPolicy] = {}
    for version in {change.ladder_version for change in changes}:
        found = await get_published(connection, programme_id=programme.id, version=version)
        ladders[version] = found.policy
    return [
        TierLine(
            at=change.at,
            kind=change.kind,
            why=sentence(
                change,
                ladders[change.ladder_version],
                locale=t.language,
                time_zone=programme.time_zone,
                amount=lambda metric, amount: metric_text(metric, amount, t, formats),
            ),
        )
        for change in changes
    ]
