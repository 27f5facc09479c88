"""Requests and answers about members."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from loyalty.kit.ids import public_id
from loyalty.members.consent import Consent
from loyalty.members.identifiers import (
    PROGRAMME_WIDE,
    Identity,
    IdentityKind,
    channel_identity,
    email_identity,
    phone_identity,
)
from loyalty.members.member import MEMBER_PREFIX, Member
from loyalty.members.merge import MERGE_PREFIX, Merge
from loyalty.members.profile import Profile
from loyalty.web.api.operations import ChannelCode, MemberReference, Moment, Person, Text, tell

Locale = Literal["zh", "en"]
Email = Annotated[str, Meta(min_length=3, max_length=320, examples=["li.na@example.com"])]
Name = Annotated[str, Meta(max_length=100, examples=["李娜"])]


class IdentityRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to know a person: a phone in any spelling, an e-mail address, or what your channel calls them."""

    kind: IdentityKind
    value: Annotated[str, Meta(min_length=1, max_length=320, examples=["+86 199 0000 0001"])]
    verified: Annotated[bool, Meta(description="The person has proved it, such as with a one-time code.")] = False
    programme_wide: Annotated[
        bool, Meta(description="A card or id that means the same person in every channel, not in yours alone.")
    ] = False


class ConsentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the member agreed to or withdrew, in which words, when, and where it was said."""

    purpose: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$", examples=["marketing_sms"])]
    granted: bool
    text_version: Annotated[Text, Meta(examples=["terms-2026-01"])]
    source: Annotated[Text, Meta(examples=["till:store-1"])]
    given_at: Moment


class ProfileRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the member told about themselves. A field left out stays as it is; null removes it."""

    name: Name | UnsetType | None = UNSET
    birthday: date | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET


class RegisterRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person as your channel knows them."""

    identities: Annotated[list[IdentityRequest], Meta(min_length=1, max_length=20)]
    channel: ChannelCode | None = None
    joined_at: Moment | None = None
    locale: Locale | None = None
    profile: ProfileRequest | None = None
    consents: Annotated[list[ConsentRequest], Meta(max_length=20)] = []


class FindRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was typed or scanned: a phone, an e-mail address, a card, a customer id, a member id or a member QR."""

    text: Annotated[str, Meta(min_length=1, max_length=320, examples=["19900000001"])]


class MergeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The member `absorbed_id` was found to be the same person."""

    absorbed_id: MemberReference
    reason: Text
    actor: Person


class ReasonRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, and who says so."""

    reason: Text
    actor: Person


class MemberAnswer(Struct, frozen=True, kw_only=True):
    """A member. Phone and e-mail are masked; `profile` has them in the clear."""

    id: str
    state: Literal["active", "merged", "erased"]
    merged_into: str | None
    joined_at: datetime
    joined_channel: str
    locale: str | None
    name: str | None
    masked_phone: str | None
    masked_email: str | None


class Members(Struct, frozen=True, kw_only=True):
    """Members, a page of them where there is a cursor."""

    data: list[MemberAnswer]
    next_cursor: str | None


class IdentityAnswer(Struct, frozen=True, kw_only=True):
    """One way the member is known, and the channel it was first heard from."""

    kind: str
    value: str
    channel: str
    programme_wide: bool
    verified_at: datetime | None
    added_at: datetime


class ProfileAnswer(Struct, frozen=True, kw_only=True):
    """A member in the clear: personal data, to be treated as such."""

    member_id: str
    name: str | None
    phone: str | None
    email: str | None
    birthday: date | None
    identities: list[IdentityAnswer]


class RegistrationAnswer(Struct, frozen=True, kw_only=True):
    """Who it is. `created`: a new member. `merges`: members that this record showed to be one person."""

    member: MemberAnswer
    created: bool
    merges: list[str]


class ConsentAnswer(Struct, frozen=True, kw_only=True):
    """One thing the member said about one purpose."""

    purpose: str
    granted: bool
    text_version: str
    source: str
    given_at: datetime


class Consents(Struct, frozen=True, kw_only=True):
    """Everything the member said, newest first; for each purpose the newest holds."""

    data: list[ConsentAnswer]


class MergeAnswer(Struct, frozen=True, kw_only=True):
    """The trail of a merge, and whether it was undone."""

    id: str
    survivor_id: str
    absorbed_id: str
    merged_at: datetime
    merged_by: str
    merged_because: str
    undone_at: datetime | None
    undone_by: str | None
    undone_because: str | None


class ErasureAnswer(Struct, frozen=True, kw_only=True):
    """That the member was erased. Entries of the ledger stay: they name nobody."""

    member_id: str
    erased_at: datetime


def read_identity(request: IdentityRequest, channel_code: str) -> Identity:
    """The identity of a request, normalised. Raises InvalidInputError naming its kind."""
    if request.kind == "phone":
        return phone_identity(request.value, verified=request.verified)
    if request.kind == "email":
        return email_identity(request.value, verified=request.verified)
    scope = PROGRAMME_WIDE if request.programme_wide else channel_code
    named = channel_identity(request.kind, request.value, channel_code=scope)
    return Identity(kind=named.kind, value=named.value, scope=named.scope, verified=request.verified)


def read_consent(request: ConsentRequest) -> Consent:
    """The consent of a request."""
    return tell(Consent, request)


def member_answer(member: Member, profile: Profile) -> MemberAnswer:
    """A member as it is told."""
    return tell(
        MemberAnswer,
        member,
        id=member.public_id,
        merged_into=public_id(MEMBER_PREFIX, member.merged_into) if member.merged_into else None,
        name=profile.name,
        masked_phone=profile.masked_phone,
        masked_email=profile.masked_email,
    )


def profile_answer(profile: Profile) -> ProfileAnswer:
    """A profile as it is told to those who may see it."""
    identities = [
        tell(IdentityAnswer, identity, programme_wide=identity.scope == PROGRAMME_WIDE)
        for identity in profile.identities
    ]
    return tell(ProfileAnswer, profile, member_id=public_id(MEMBER_PREFIX, profile.member_id), identities=identities)


def merge_answer(merge: Merge) -> MergeAnswer:
    """A merge as it is told."""
    return tell(
        MergeAnswer,
        merge,
        id=public_id(MERGE_PREFIX, merge.id),
        survivor_id=public_id(MEMBER_PREFIX, merge.survivor_id),
        absorbed_id=public_id(MEMBER_PREFIX, merge.absorbed_id),
    )
