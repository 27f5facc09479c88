"""Who a record is about: the rule that makes one person one member. Pure; `docs/decisions/identity.md` says why.

1. A phone is one person. Whoever holds the record's phone is the person.
2. What a channel calls somebody (customer id, card, ouid, wallet id) names one member.
3. When those name several members, the record proves that they are one person, and they are merged into the holder of
   the record's phone; without one, into a member that has a phone; else into the one who joined first.
4. Except that two members who have each a verified phone of their own are two people: the record is refused.
5. E-mail is weak. It finds a member only for a record that nothing stronger finds, and only when nothing contradicts:
   both sides have a phone, or both have an id of the same kind from the same channel. It merges two members only when
   it is verified on both sides and nothing contradicts.
6. An e-mail address that may not link stays with its present holder, and is kept for this member as a contact alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from loyalty.kit.errors import ConflictError
from loyalty.kit.ids import public_id
from loyalty.members.identifiers import IdentityKey
from loyalty.members.member import MEMBER_PREFIX

_STRENGTH: Final = ("phone", "card", "customer", "wallet", "ouid", "email")


class Claim(msgspec.Struct, frozen=True):
    """One identity of a record, by its key; verified when its holder has proved it."""

    key: IdentityKey
    verified: bool


class Holder(msgspec.Struct, kw_only=True):
    """A member that a record may be about, with the identities it has; True where one is verified."""

    member_id: UUID
    joined_at: datetime
    identities: dict[IdentityKey, bool] = {}


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a record means. `member_id` None: somebody new.

    `absorbed`: members to merge into `member_id` first. `contacts`: e-mail keys that stay with another member.
    """

    member_id: UUID | None
    absorbed: tuple[UUID, ...] = ()
    contacts: frozenset[IdentityKey] = frozenset()


def link(claims: Sequence[Claim], holders: Mapping[IdentityKey, Holder]) -> Link:
    """Decide who a record is about, by the rule above.

    `holders` says who holds which of the claimed identities at present. Raises ConflictError naming the identity that
    belongs to somebody who is certainly another person.
    """
    ordered = sorted(claims, key=lambda claim: _STRENGTH.index(claim.key.kind))
    strong = [claim for claim in ordered if claim.key.kind != "email"]
    named = _distinct(holders[claim.key] for claim in strong if claim.key in holders)
    person = {claim.key: claim.verified for claim in strong}
    for holder in named:
        person |= holder.identities
    addresses = [claim for claim in ordered if claim.key.kind == "email" and claim.key in holders]
    for claim in sorted(addresses, key=lambda claim: not _proved(claim, holders)):
        holder = holders[claim.key]
        if holder not in named and (not named or _proved(claim, holders)) and not contradict(person, holder.identities):
            named.append(holder)
            person |= holder.identities
    contacts = frozenset(claim.key for claim in addresses if holders[claim.key] not in named)
    if not named:
        return Link(member_id=None, contacts=contacts)
    survivor = _survivor(claims, named)
    absorbed = [holder for holder in named if holder is not survivor]
    _refuse_two_people(claims, [survivor, *absorbed])
    return Link(
        member_id=survivor.member_id,
        absorbed=tuple(holder.member_id for holder in absorbed),
        contacts=contacts,
    )


def _proved(claim: Claim, holders: Mapping[IdentityKey, Holder]) -> bool:
    return claim.verified and holders[claim.key].identities[claim.key]


def contradict(one: Iterable[IdentityKey], other: Iterable[IdentityKey]) -> bool:
    """Whether two sets of identities speak against being one person, as far as an e-mail address is concerned.

    They do when both have a phone, or an id of one kind from one channel, and none of these in common.
    """
    mine, theirs = _by_source(one), _by_source(other)
    return any(mine[source].isdisjoint(theirs[source]) for source in mine.keys() & theirs.keys())


def _by_source(keys: Iterable[IdentityKey]) -> dict[tuple[str, str], set[bytes]]:
    sources: dict[tuple[str, str], set[bytes]] = {}
    for kind, scope, digest in keys:
        if kind != "email":
            sources.setdefault((kind, scope), set()).add(digest)
    return sources


def _distinct(holders: Iterable[Holder]) -> list[Holder]:
    return list({holder.member_id: holder for holder in holders}.values())


def _survivor(claims: Sequence[Claim], named: Sequence[Holder]) -> Holder:
    """The holder of the record's phone (verified before typed), else one with any phone, else who joined first."""
    claimed_phones = {claim.key for claim in claims if claim.key.kind == "phone"}

    def rank(holder: Holder) -> tuple[int, int, datetime, UUID]:
        of_record = [verified for key, verified in holder.identities.items() if key in claimed_phones]
        of_any = [verified for key, verified in holder.identities.items() if key.kind == "phone"]
        return _best(of_record), _best(of_any), holder.joined_at, holder.member_id

    return min(named, key=rank)


def _best(verified: Sequence[bool]) -> int:
    return 0 if any(verified) else 1 if verified else 2


def _refuse_two_people(claims: Sequence[Claim], named: Sequence[Holder]) -> None:
    proved = {claim.key for claim in claims if claim.verified}
    people = [
        holder
        for holder in named
        if any(key.kind == "phone" and (verified or key in proved) for key, verified in holder.identities.items())
    ]
    if len(people) <= 1:
        return
    one, other = people[0], people[-1]
    named_by = min((claim.key.kind for claim in claims if claim.key in other.identities), key=_STRENGTH.index)
    message = (
        f"this {named_by} is that of {public_id(MEMBER_PREFIX, other.member_id)}, another part of the record that of "
        f"{public_id(MEMBER_PREFIX, one.member_id)}, and each has a verified phone: two people until merged by hand"
    )
    raise ConflictError(message, field=named_by)
