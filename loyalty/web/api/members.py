"""Members: who is who, and what they agreed to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from litestar import Response, Router, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.clock import utc_now
from loyalty.kit.ids import parse_public_id, public_id
from loyalty.members.card_token import looks_like_token, read_token
from loyalty.members.consent import consent_history, record_consent
from loyalty.members.erasure import erase
from loyalty.members.identity import find, register
from loyalty.members.member import MEMBER_PREFIX, Member, get_member
from loyalty.members.merge import MERGE_PREFIX, merge, unmerge
from loyalty.members.profile import ProfileFields, read_profile, read_profiles, update_profile
from loyalty.members.reading import Place, list_members, place_of
from loyalty.web.api import members_schemas as shapes
from loyalty.web.api.operations import (
    PAGE_SIZE,
    Cursor,
    IdempotencyKey,
    Limit,
    Require,
    acting_channel,
    body_problems,
    keyed_problems,
    problems,
    read_cursor,
    tell,
    write_cursor,
)
from loyalty.web.api.people import MemberId, member_uuid, reading_member, writing_member
from loyalty.web.idempotency import ledger_key, once
from loyalty.web.security.api_keys import Caller
from loyalty.web.security.sessions import close_sessions_of
from loyalty.web.state import Services


async def _told(services: Services, connection: AsyncConnection, members: list[Member]) -> list[shapes.MemberAnswer]:
    profiles = await read_profiles(connection, services.keyring, [member.id for member in members])
    return [shapes.member_answer(member, profiles[member.id]) for member in members]


@post(
    "/members",
    operation_id="registerMember",
    summary="Register a member",
    guards=[Require("members:write")],
    responses=keyed_problems(404),
)
async def register_member(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.RegisterRequest],
) -> Response[shapes.RegistrationAnswer]:
    """Make a person a member, or find the member they are already: one person however many ways they come."""

    async def work(connection: AsyncConnection) -> shapes.RegistrationAnswer:
        channel = await acting_channel(connection, caller, data.channel)
        registration = await register(
            connection,
            services.keyring,
            programme_id=caller.programme_id,
            channel_code=channel.code,
            identities=[shapes.read_identity(identity, channel.code) for identity in data.identities],
            joined_at=data.joined_at or utc_now(),
            profile=tell(ProfileFields, data.profile) if data.profile else None,
            consents=[shapes.read_consent(consent) for consent in data.consents],
            locale=data.locale,
        )
        (told,) = await _told(services, connection, [registration.member])
        merges = [public_id(MERGE_PREFIX, merge_id) for merge_id in registration.merge_ids]
        return shapes.RegistrationAnswer(member=told, created=registration.created, merges=merges)

    return await once(
        services, caller, idempotency_key, operation="registerMember", request=data, status=201, work=work
    )


@get(
    "/members",
    operation_id="listMembers",
    summary="List members",
    guards=[Require("members:read")],
    responses=problems(),
)
async def list_all_members(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    channel: Annotated[
        str | None, QueryParameter(max_length=40, description="Who joined through it, or whom it knows.")
    ] = None,
    member_state: Annotated[
        Literal["active", "merged", "erased"], QueryParameter(name="state", description="Which members.")
    ] = "active",
    limit: Limit = PAGE_SIZE,
    cursor: Cursor = None,
) -> shapes.Members:
    """Members of the programme, who joined last first."""
    after = Place(*read_cursor(cursor, tuple[datetime, UUID])) if cursor is not None else None
    async with services.transaction() as connection:
        found = await list_members(
            connection, programme_id=caller.programme_id, state=member_state, channel=channel, after=after, limit=limit
        )
        told = await _told(services, connection, found)
    return shapes.Members(data=told, next_cursor=write_cursor(*place_of(found[-1])) if len(found) == limit else None)


@post(
    "/members/find",
    operation_id="findMember",
    summary="Find a member",
    status_code=200,
    guards=[Require("members:read")],
    responses=body_problems(404),
)
async def find_member(
    services: NamedDependency[Services], caller: NamedDependency[Caller], data: JSONBody[shapes.FindRequest]
) -> shapes.Members:
    """Whoever is meant by what was typed or scanned; nobody is an empty list, more than one is rare.

    A POST, so that no phone number ends in an address or a log; it changes nothing and takes no key.
    """
    async with services.transaction() as connection:
        if looks_like_token(data.text.strip().upper()):
            member_id = read_token(services.session_secret, data.text, utc_now())
            found = [await get_member(connection, programme_id=caller.programme_id, member_id=member_id)]
        else:
            found = await find(connection, services.keyring, programme_id=caller.programme_id, text=data.text)
        told = await _told(services, connection, found)
    return shapes.Members(data=told, next_cursor=None)


@get(
    "/members/{member_id:str}",
    operation_id="getMember",
    summary="A member",
    guards=[Require("members:read")],
    responses=problems(404),
)
async def get_one_member(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> shapes.MemberAnswer:
    """The member of an id; of one that was merged, the member it was merged into."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        (told,) = await _told(services, connection, [member])
    return told


@get(
    "/members/{member_id:str}/profile",
    operation_id="getProfile",
    summary="A member in the clear",
    guards=[Require("members:read")],
    responses=problems(404),
)
async def get_profile(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> shapes.ProfileAnswer:
    """What the member told about themselves, and every way they are known: personal data."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        profile = await read_profile(connection, services.keyring, member_id=member.id)
    return shapes.profile_answer(profile)


@patch(
    "/members/{member_id:str}/profile",
    operation_id="updateProfile",
    summary="Change what a member told",
    guards=[Require("members:write")],
    responses=body_problems(404, 409),
)
async def change_profile(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    data: JSONBody[shapes.ProfileRequest],
) -> shapes.ProfileAnswer:
    """Write name, birthday or contact address; a field left out stays as it is, null removes it."""
    async with services.transaction() as connection:
        member = await writing_member(connection, caller, member_id)
        await update_profile(
            connection,
            services.keyring,
            member_id=member.id,
            fields=tell(ProfileFields, data),
            source=f"api:{caller.key.prefix}",
        )
        profile = await read_profile(connection, services.keyring, member_id=member.id)
    return shapes.profile_answer(profile)


@get(
    "/members/{member_id:str}/consents",
    operation_id="listConsents",
    summary="What a member agreed to",
    guards=[Require("members:read")],
    responses=problems(404),
)
async def list_consents(
    services: NamedDependency[Services], caller: NamedDependency[Caller], member_id: MemberId
) -> shapes.Consents:
    """Everything the member said about any purpose, newest first."""
    async with services.transaction() as connection:
        member = await reading_member(connection, caller, member_id)
        said = await consent_history(connection, member_id=member.id)
    return shapes.Consents(data=[tell(shapes.ConsentAnswer, consent) for consent in said])


@post(
    "/members/{member_id:str}/consents",
    operation_id="recordConsent",
    summary="Record a consent",
    guards=[Require("members:write")],
    responses=keyed_problems(404),
)
async def record_one_consent(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ConsentRequest],
) -> Response[shapes.ConsentAnswer]:
    """Record that the member agreed to something or withdrew it. Nothing said before is changed."""

    async def work(connection: AsyncConnection) -> shapes.ConsentAnswer:
        member = await writing_member(connection, caller, member_id)
        await record_consent(connection, member_id=member.id, consent=shapes.read_consent(data))
        return tell(shapes.ConsentAnswer, data)

    request = {"member": member_id, "consent": data}
    return await once(
        services, caller, idempotency_key, operation="recordConsent", request=request, status=201, work=work
    )


@post(
    "/members/{member_id:str}/merge",
    operation_id="mergeMembers",
    summary="Merge another member into this one",
    guards=[Require("members:write")],
    responses=keyed_problems(404),
)
async def merge_members(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.MergeRequest],
) -> Response[shapes.MergeAnswer]:
    """Make two members one: points keep their lots and expiry, both histories stay, and a trail is left."""

    async def work(connection: AsyncConnection) -> shapes.MergeAnswer:
        made = await merge(
            connection,
            services.keyring,
            programme_id=caller.programme_id,
            survivor_id=member_uuid(member_id, field="member_id"),
            absorbed_id=member_uuid(data.absorbed_id, field="absorbed_id"),
            reason=data.reason,
            actor=data.actor,
            key=ledger_key(caller, idempotency_key),
        )
        return shapes.merge_answer(made)

    request = {"member": member_id, "merge": data}
    return await once(
        services, caller, idempotency_key, operation="mergeMembers", request=request, status=201, work=work
    )


@post(
    "/merges/{merge_id:str}/undo",
    operation_id="undoMerge",
    summary="Undo a merge",
    guards=[Require("members:write")],
    responses=keyed_problems(404),
)
async def undo_merge(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    merge_id: Annotated[str, PathParameter(pattern=f"^{MERGE_PREFIX}_[0-9A-Za-z]{{26}}$", description="The merge.")],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ReasonRequest],
) -> Response[shapes.MergeAnswer]:
    """The two were different people after all: each has again what is left of what was theirs."""

    async def work(connection: AsyncConnection) -> shapes.MergeAnswer:
        undone = await unmerge(
            connection,
            services.keyring,
            programme_id=caller.programme_id,
            merge_id=parse_public_id(MERGE_PREFIX, merge_id, field="merge_id"),
            reason=data.reason,
            actor=data.actor,
        )
        return shapes.merge_answer(undone)

    request = {"merge": merge_id, "reason": data}
    return await once(services, caller, idempotency_key, operation="undoMerge", request=request, status=201, work=work)


@post(
    "/members/{member_id:str}/erase",
    operation_id="eraseMember",
    summary="Erase a member",
    guards=[Require("members:write")],
    responses=keyed_problems(404),
)
async def erase_member(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    member_id: MemberId,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ReasonRequest],
) -> Response[shapes.ErasureAnswer]:
    """Forget the person: name, phone, e-mail and every identity go; entries of the ledger, which name nobody, stay."""

    async def work(connection: AsyncConnection) -> shapes.ErasureAnswer:
        erased = await erase(
            connection,
            programme_id=caller.programme_id,
            member_id=member_uuid(member_id, field="member_id"),
            reason=data.reason,
            actor=data.actor,
        )
        await close_sessions_of(connection, erased.member_id)
        return tell(shapes.ErasureAnswer, erased, member_id=public_id(MEMBER_PREFIX, erased.member_id))

    request = {"member": member_id, "reason": data}
    return await once(
        services, caller, idempotency_key, operation="eraseMember", request=request, status=201, work=work
    )


router: Final = Router(
    path="/",
    tags=["Members"],
    route_handlers=[
        register_member,
        list_all_members,
        find_member,
        get_one_member,
        get_profile,
        change_profile,
        list_consents,
        record_one_consent,
        merge_members,
        undo_merge,
        erase_member,
    ],
)
