"""Claiming an item, once: the primary key of the claim is the rule, whoever comes at the same time."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.awards import award
from loyalty.items import throttle
from loyalty.items.codes import ItemCode
from loyalty.items.keys import MasterKeys
from loyalty.items.loading import Wanted, load_many
from loyalty.items.lookup import canonical_serial, check_listed, find_code, settle_claimant, verify_pin
from loyalty.items.tables import claim_tally_table, item_claim_table, item_table
from loyalty.items.verdicts import (
    ClaimBlocker,
    ClaimRecord,
    Item,
    ItemSettings,
    Sighting,
    UnknownReason,
    claim_blocker,
)
from loyalty.kit.clock import local_date, utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, NotFoundError, TooManyAttemptsError
from loyalty.members.member import keep_unmerged
from tiers.counting import Activity, count_activities

_REASONS: Final[dict[ClaimBlocker, str]] = {
    "not_activated": "this item is not on sale yet",
    "retired": "this code was taken out of use",
    "recalled": "this item was recalled",
    "suspected_copy": "this code was scanned in places too far apart; the brand is looking into it",
    "expired": "this item is past its date",
    "pin_locked": "the code under the scratch-off was wrong too often; the brand has to unlock it",
}


_CLAIM: Final = (
    upsert(item_claim_table)
    .on_conflict_do_nothing(index_elements=["gtin", "kid", "index"])
    .returning(item_claim_table.c.gtin)
)
_TALLY: Final = (
    upsert(claim_tally_table)
    .on_conflict_do_update(
        index_elements=["subject", "day"],
        set_={"claims": claim_tally_table.c.claims + 1},
        where=claim_tally_table.c.claims < bindparam("cap"),
    )
    .returning(claim_tally_table.c.claims)
)


class AlreadyClaimedError(ConflictError):
    """Another member claimed the item before."""

    type = "already-claimed"
    title = "This item was claimed already"


class NotClaimableError(ConflictError):
    """The item's state does not allow a claim; `reason` in the problem says which."""

    type = "not-claimable"
    title = "This item cannot be claimed"


class ClaimCapError(TooManyAttemptsError):
    """A member or a device claimed as many items today as the brand allows."""

    type = "claim-cap"
    title = "No more claims today"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that holds. `replayed` where the same member had claimed the item before: then this is that claim."""

    code: ItemCode
    member_id: UUID
    at: datetime
    points: int
    replayed: bool


class RefusedTry(msgspec.Struct, frozen=True, kw_only=True):
    """A wrong code or a wrong PIN: nothing was claimed, and the try is counted.

    It is an answer and not an error, because an error would roll the count back with everything else.
    """

    reason: Literal["unknown", "wrong_pin", "pin_used"]
    """`pin_used`: the right PIN of an item that another member claimed. It lies under a strip, so a second person who
    has it holds a copy, or a package that was opened before."""
    tries_left: int | None = None
    """PINs that may still be tried before the item is locked."""
    claimed_at: datetime | None = None
    """When the other member claimed the item whose PIN was used."""


async def claim(
    connection: AsyncConnection,
    keys: MasterKeys,
    *,
    programme_id: UUID,
    gtin: str,
    serial: str,
    member_id: UUID,
    device: str,
    pin: str | None = None,
    address: str | None = None,
    at: datetime | None = None,
    settings: ItemSettings | None = None,
) -> Claim | RefusedTry:
    """Claim an item for a member and award its points; a second time, answer the first claim. The thresholds are the
    brand's unless given.

    Commit also where the answer is a RefusedTry. Raises AlreadyClaimedError where another member was first,
    NotClaimableError where the item's state forbids it, NotFoundError where there is no such member, ClaimCapError
    beyond the caps of a day, InvalidInputError (`pin`) where the item needs its PIN and none came, and
    TooManyAttemptsError after too many wrong codes.
    """
    member = await keep_unmerged(connection, programme_id=programme_id, member_id=member_id)
    if member.state == "erased":
        raise NotFoundError("this member was erased", field="member_id")
    member_id = member.id
    sighting = Sighting(device=throttle.device_hash(device), member_id=member_id, at=at or utc_now(), place=None)
    prefix = throttle.address_prefix(address)
    code = await find_code(connection, keys, gtin=gtin, serial=serial)
    wanted = Wanted(
        programme_id=programme_id,
        code=code if isinstance(code, ItemCode) else None,
        at=sighting.at,
        device=sighting.device,
        settings=settings,
    )
    (loaded,) = await load_many(connection, [wanted])
    settings = loaded.settings
    if loaded.wrong_tries >= settings.bad_codes_per_device:
        raise throttle.too_many(settings)
    item = check_listed(keys, loaded.item if isinstance(code, ItemCode) else code, serial)
    refusal: UnknownReason
    if isinstance(item, Item):
        item = await settle_claimant(connection, item, member_id)
        if item.claim is not None and (item.claim.member_id == member_id or not (pin and _asks_pin(item))):
            return _first_claim(item.code, item.claim, member_id)
        blocker = claim_blocker(item, sighting, suspected=item.record.suspected_at is not None, settings=settings)
        if blocker is not None and item.claim is None:
            raise NotClaimableError(_REASONS[blocker], reason=blocker)
        tries_left = await _try_pin(connection, keys, item, pin, settings)
        if tries_left is not None:
            refusal, answer = "wrong_pin", RefusedTry(reason="wrong_pin", tries_left=tries_left)
        elif item.claim is not None:
            refusal, answer = "pin_used", RefusedTry(reason="pin_used", claimed_at=item.claim.at)
        else:
            return await _claim(connection, item, sighting, member_id, settings)
    else:
        await throttle.check_address(connection, prefix=prefix, at=sighting.at, settings=settings)
        refusal, answer = item, RefusedTry(reason="unknown")
    await throttle.record_refusal(
        connection,
        programme_id=programme_id,
        device=sighting.device,
        prefix=prefix,
        gtin=gtin,
        serial=canonical_serial(serial),
        reason=refusal,
        at=sighting.at,
    )
    return answer


async def count_claims(connection: AsyncConnection, *, member_id: UUID) -> int:
    """How many items a member has claimed."""
    claims = select(func.count()).select_from(item_claim_table).where(item_claim_table.c.member_id == member_id)
    return await connection.scalar(claims) or 0


async def _claim(
    connection: AsyncConnection, item: Item, sighting: Sighting, member_id: UUID, settings: ItemSettings
) -> Claim:
    code = item.code
    row = {
        "gtin": code.gtin,
        "kid": code.kid,
        "index": code.index,
        "programme_id": item.product.programme_id,
        "member_id": member_id,
        "device": sighting.device,
        "at": sighting.at,
        "points": item.points,
    }
    if (await connection.execute(_CLAIM, row)).first() is None:
        return _first_claim(code, await _read_claim(connection, code), member_id)
    day = local_date(sighting.at, item.time_zone)
    # Always in this order, code, member, device, so that claims wait for each other and never in a circle.
    await _tally(connection, f"member:{member_id}", day, settings.claims_per_member_day)
    await _tally(connection, f"device:{sighting.device.hex()}", day, settings.claims_per_device_day)
    await _award(connection, item, member_id, sighting.at)
    return Claim(code=code, member_id=member_id, at=sighting.at, points=item.points, replayed=False)


async def _award(connection: AsyncConnection, item: Item, member_id: UUID, at: datetime) -> None:
    """Give the points, and count the scan towards tiers, also of an item that gives none."""
    name = f"claim:{item.code.gtin}:{item.code.kid}:{item.code.index}"
    scan = Activity(member_id=member_id, metric="scans", amount=1, counts_at=at, happened_at=at, cause=name)
    await count_activities(connection, programme_id=item.product.programme_id, activities=[scan])
    if not item.points:
        return
    await award(
        connection,
        programme_id=item.product.programme_id,
        member_id=member_id,
        amount=item.points,
        key=name,
        source=name,
        effective_at=at,
    )


def _first_claim(code: ItemCode, first: ClaimRecord, member_id: UUID) -> Claim:
    if first.member_id != member_id:
        raise AlreadyClaimedError(
            "another member claimed this item; if it is yours and new, ask the shop, who can look into it",
            claimed_at=first.at,
        )
    return Claim(code=code, member_id=member_id, at=first.at, points=first.points, replayed=True)


async def _read_claim(connection: AsyncConnection, code: ItemCode) -> ClaimRecord:
    claim = item_claim_table.c
    query = select(*(claim[name] for name in ClaimRecord.__struct_fields__)).where(
        claim.gtin == code.gtin, claim.kid == code.kid, claim.index == code.index
    )
    return ClaimRecord(**(await connection.execute(query)).mappings().one())


async def _tally(connection: AsyncConnection, subject: str, day: date, cap: int) -> None:
    """Count a claim against a cap; one statement, so that claims at the same time cannot pass it together."""
    counted = await connection.execute(_TALLY, {"subject": subject, "day": day, "claims": 1, "cap": cap})
    if counted.first() is None:
        raise ClaimCapError(f"at most {cap} items can be claimed in a day; try again tomorrow")


def _asks_pin(item: Item) -> bool:
    return item.range.policy.pin_required


async def _try_pin(
    connection: AsyncConnection, keys: MasterKeys, item: Item, pin: str | None, settings: ItemSettings
) -> int | None:
    """Check an item's PIN where it needs one. None where all is well, else how many tries are left."""
    if not _asks_pin(item):
        return None
    if pin is None or not pin.strip():
        raise InvalidInputError("this item needs the code under the scratch-off", field="pin")
    code, row = item.code, item_table.c
    this_item = (row.gtin == code.gtin, row.kid == code.kid, row.index == code.index)
    fresh = upsert(item_table).values(
        gtin=code.gtin, kid=code.kid, index=code.index, programme_id=item.product.programme_id
    )
    await connection.execute(fresh.on_conflict_do_nothing(index_elements=["gtin", "kid", "index"]))
    # Locked, so that tries at the same time cannot get past the limit together.
    failures = await connection.scalar(select(row.pin_failures).where(*this_item).with_for_update())
    if (failures or 0) >= settings.pin_tries:
        raise NotClaimableError(_REASONS["pin_locked"], reason="pin_locked")
    if await verify_pin(connection, keys, code, pin):
        return None
    await connection.execute(update(item_table).where(*this_item).values(pin_failures=row.pin_failures + 1))
    return settings.pin_tries - (failures or 0) - 1
