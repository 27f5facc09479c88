"""Segments: groups of members put together in sentences, counted, looked at, saved and handed out."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.segments.audience import Audience, Count, audience, count
from loyalty.campaigns.segments.drafts import TESTS, Group, draft_of, read_draft, rule_of
from loyalty.campaigns.segments.exporting import CONTENTS, Contents, read_contents, rows_of
from loyalty.campaigns.segments.fields import KINDS
from loyalty.campaigns.segments.segment import (
    LONGEST_NAME,
    LONGEST_NOTE,
    Segment,
    change_draft,
    create_segment,
    get_segment,
    get_version,
    list_segments,
    list_versions,
    retire_segment,
    save_version,
    segment_audience,
    segment_uuid,
)
from loyalty.campaigns.segments.tags import add_tag, list_tags, remove_tag
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import ConflictError, InvalidInputError, UnavailableError
from loyalty.kit.ids import public_id
from loyalty.members.member import MEMBER_PREFIX, get_member
from loyalty.members.profile import read_profiles
from loyalty.web.console.desk import console_page, read_places, words
from loyalty.web.console.segment_forms import act, faults, read_fields, read_tree
from loyalty.web.console.segment_words import WITH_UNITS, Names, say, say_count, say_rule
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Formats, Translator
from loyalty.web.security.staff_actions import list_actions, record_action
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from tiers.versions import policy_at

_PREVIEW: Final = 8
_REFUSED: Final = 422
_NOTICES: Final = ("saved", "dropped", "retired", "restored", "nothing")
_FIELDS: Final = {
    "people": ("joined_days", "joined_on", "joined_channel", "language", "birth_month", "months_to_birthday"),
    "tiers": ("tier", "tier_rank", "tier_days", "tier_days_left", "points", "points_pending"),
    "trade": ("orders", "spent_minor", "days_since_order", "days_since_first_order"),
    "items": ("scans", "days_since_scan", "scan_city", "claims"),
    "words": ("tag", "consent"),
}
"""The fields by what they are about, as the form offers them."""
assert {each for fields in _FIELDS.values() for each in fields} == KINDS.keys()  # noqa: S101  (none is forgotten)


@get("/segments")
async def show_segments(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The segments there are, what they say, and a form for another."""
    return await _show_list(request, services)


async def _show_list(
    request: Request[Any, Any, Any], services: Services, *, name: str = "", error: str | None = None
) -> Response[Any]:
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, _ = words(request, desk)
        names = await _names(connection, desk, t)
        found = await list_segments(connection, programme_id=desk.programme.id, retired=True)
        told = [(segment, await _say_newest(connection, t, names, segment)) for segment in found]
    return console_page(
        request,
        "console/segments.html",
        desk,
        section="segments",
        status_code=_REFUSED if error else 200,
        here="/console/segments",
        segments=told,
        name=name,
        error=error,
        longest=LONGEST_NAME,
    )


async def _say_newest(connection: AsyncConnection, t: Translator, names: Names, segment: Segment) -> str | None:
    if not segment.version:
        return None
    saved = await get_version(connection, programme_id=segment.programme_id, segment_id=segment.id)
    return say_rule(t, names, saved.rule)


@post("/segments", status_code=303)
async def create_one(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Begin a segment, and go to its page."""
    name = (await read_form(request, "name"))["name"]
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            made = await create_segment(connection, programme_id=desk.programme.id, name=name)
    except (InvalidInputError, ConflictError) as error:
        key = "name_taken" if isinstance(error, ConflictError) else "name_wrong"
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            t, _ = words(request, desk)
        return await _show_list(request, services, name=name, error=t(f"segments.{key}", n=LONGEST_NAME))
    return see_other(_address(made))


def _address(segment: Segment) -> str:
    return f"/console/segments/{segment.public_id}"


@get("/segments/{segment_id:str}")
async def show_segment(
    request: Request[Any, Any, Any], services: NamedDependency[Services], segment_id: FromPath[str]
) -> Response[Any]:
    """A segment: its sentences to change, how many it is and who, its versions, and its export."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        segment = await get_segment(connection, programme_id=desk.programme.id, segment_id=segment_uuid(segment_id))
        return await _show(request, services, connection, desk, segment)


async def _show(
    request: Request[Any, Any, Any],
    services: Services,
    connection: AsyncConnection,
    desk: Desk,
    segment: Segment,
    *,
    problem: str | None = None,
) -> Response[Any]:
    t, formats = words(request, desk)
    names = await _names(connection, desk, t)
    versions = await list_versions(connection, programme_id=desk.programme.id, segment_id=segment.id)
    tree = await _tree(connection, segment)
    wrong = faults(tree)
    asked = None if wrong else await _audience(connection, desk, tree)
    done = request.query_params.get("done")
    actions = await list_actions(connection, programme_id=desk.programme.id, subject_id=segment.id)
    return console_page(
        request,
        "console/segment.html",
        desk,
        section="segments",
        status_code=_REFUSED if problem else 200,
        here=_address(segment),
        segment=segment,
        address=_address(segment),
        tree=tree,
        faults=wrong,
        fields=_FIELDS,
        kinds=KINDS,
        tests_of=lambda item: {test: t(f"segments.test.{test}") for test in TESTS[item.type]},
        with_units=WITH_UNITS,
        names=names,
        tags=[each.tag for each in await list_tags(connection, programme_id=desk.programme.id)],
        said=say(t, names, tree),
        counted=await _say_count(connection, t, formats, asked),
        people=await _preview(services, connection, asked),
        versions=[(version, say_rule(t, names, version.rule)) for version in versions],
        contents=CONTENTS,
        exports=[action for action in actions if action.action == "export-segment"],
        longest_note=LONGEST_NOTE,
        notice=done if done in _NOTICES else None,
        problem=problem,
    )


async def _tree(connection: AsyncConnection, segment: Segment) -> Group:
    """The draft; without one, the newest version; of a new segment, nothing yet."""
    if segment.draft is not None:
        return read_draft(segment.draft)
    if segment.version:
        saved = await get_version(connection, programme_id=segment.programme_id, segment_id=segment.id)
        return draft_of(saved.rule)
    return Group()


async def _names(connection: AsyncConnection, desk: Desk, t: Translator) -> Names:
    places = await read_places(connection, desk, t)
    version = await policy_at(connection, programme_id=desk.programme.id, moment=utc_now())
    tiers = version.policy.tiers if version else []
    return Names(
        tiers={tier.code: tier.name.get(t.language, tier.code) for tier in tiers},
        channels=places.by_code,
        languages={"zh": "中文", "en": "English"},
    )


async def _audience(connection: AsyncConnection, desk: Desk, tree: Group) -> Audience | None:
    try:
        return await audience(connection, programme_id=desk.programme.id, rule=rule_of(tree))
    except InvalidInputError:
        return None


async def _say_count(
    connection: AsyncConnection, t: Translator, formats: Formats, asked: Audience | None
) -> str | None:
    if asked is None:
        return None
    try:
        found: Count = await count(connection, asked)
    except UnavailableError:
        return t("segments.count_slow")
    return say_count(t, formats, found)


async def _preview(services: Services, connection: AsyncConnection, asked: Audience | None) -> list[tuple[str, str]]:
    """Some of the members, by the address of their page and what a page calls them."""
    if asked is None:
        return []
    found = list(await connection.scalars(asked.page(after=None, limit=_PREVIEW)))
    profiles = await read_profiles(connection, services.keyring, found)
    return [(public_id(MEMBER_PREFIX, each), profiles[each].display_name) for each in found]


@post("/segments/{segment_id:str}", status_code=303)
async def change_one(
    request: Request[Any, Any, Any], services: NamedDependency[Services], segment_id: FromPath[str]
) -> Response[Any]:
    """Keep what was typed as the draft and do what the button says: add, take away, save as a version, give up."""
    form = await read_fields(request)
    number = int(form.get("number", "0")) if form.get("number", "0").isdecimal() else 0
    problem: str | None = None
    done = ""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, _ = words(request, desk)
        mine, identifier = desk.programme.id, segment_uuid(segment_id)
        tree = read_tree(form)
        act(tree, form, currency=desk.programme.currency)
        try:
            segment = await change_draft(
                connection,
                programme_id=mine,
                segment_id=identifier,
                draft=None if form.get("do") == "drop" else msgspec.to_builtins(tree),
                seen_number=number,
                changed_by=desk.staff.name,
            )
            if form.get("do") == "save":
                problem = await _save(connection, desk, t, segment, tree, form.get("note", ""))
                done = "" if problem else "saved"
            elif form.get("do") == "drop":
                done = "dropped"
        except ConflictError:
            segment = await get_segment(connection, programme_id=mine, segment_id=identifier)
            problem = t("segments.changed", who=segment.draft_by or "")
        if problem:
            return await _show(request, services, connection, desk, segment, problem=problem)
    return see_other(_address(segment) + (f"?done={done}" if done else "") + "#rule")


async def _save(
    connection: AsyncConnection, desk: Desk, t: Translator, segment: Segment, tree: Group, note: str
) -> str | None:
    """Save a version; answers what is wrong where it cannot be."""
    try:
        rule = rule_of(tree)
        if rule is None:
            return t("segments.empty")
        await save_version(
            connection,
            programme_id=desk.programme.id,
            segment_id=segment.id,
            rule=msgspec.to_builtins(rule),
            note=note[:LONGEST_NOTE],
            saved_by=desk.staff.name,
        )
    except InvalidInputError:
        return t("segments.not_whole")
    return None


@post("/segments/{segment_id:str}/count")
async def count_draft(
    request: Request[Any, Any, Any], services: NamedDependency[Services], segment_id: FromPath[str]
) -> Response[Any]:
    """How many members the form as it stands finds, in words, for the page's script. Nothing is kept."""
    segment_uuid(segment_id)
    form = await read_fields(request)
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        tree = read_tree(form)
        asked = None if faults(tree) else await _audience(connection, desk, tree)
        said = await _say_count(connection, t, formats, asked)
        names = await _names(connection, desk, t)
        sentence = say(t, names, tree)
    answer = {"count": said or t("segments.count_later"), "said": sentence}
    return Response(answer, status_code=200, headers={"Cache-Control": "no-store"})


@post("/segments/{segment_id:str}/retire", status_code=303)
async def retire_one(
    request: Request[Any, Any, Any], services: NamedDependency[Services], segment_id: FromPath[str]
) -> Response[Any]:
    """Take a segment out of use, or back into it."""
    retired = (await read_form(request, "retired"))["retired"] == "yes"
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        identifier = segment_uuid(segment_id)
        await retire_segment(connection, programme_id=desk.programme.id, segment_id=identifier, retired=retired)
        segment = await get_segment(connection, programme_id=desk.programme.id, segment_id=identifier)
    return see_other(f"{_address(segment)}?done={'retired' if retired else 'restored'}")


@post("/segments/{segment_id:str}/members.csv", status_code=200)
async def export_one(
    request: Request[Any, Any, Any], services: NamedDependency[Services], segment_id: FromPath[str]
) -> Response[Any]:
    """The members of the newest version as a file; who took it is written down before its first line is sent."""
    form = await read_form(request, "contents", "version")
    contents: Contents = read_contents(form["contents"])
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        identifier = segment_uuid(segment_id)
        segment = await get_segment(connection, programme_id=desk.programme.id, segment_id=identifier)
        asked = await segment_audience(
            connection,
            programme_id=desk.programme.id,
            segment_id=identifier,
            version=int(form["version"]) if form["version"].isdecimal() else None,
        )
        await record_action(
            connection,
            programme_id=desk.programme.id,
            staff_id=desk.staff.id,
            action="export-segment",
            subject_id=segment.id,
        )

    async def pieces() -> AsyncIterator[str]:
        async with services.transaction() as own:
            async for rows in rows_of(own, services.keyring, asked, contents):
                written = io.StringIO()
                csv.writer(written).writerows(rows)
                yield written.getvalue()

    name = f"segment-{segment.public_id[-8:].lower()}-{contents}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Stream(pieces(), media_type="text/csv", headers=headers)


@post("/members/{member_id:str}/tags", status_code=303)
async def tag_member(
    request: Request[Any, Any, Any], services: NamedDependency[Services], member_id: FromPath[str]
) -> Response[Any]:
    """Put a tag on a member, or take one off."""
    form = await read_form(request, "tag", "remove")
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            member = await get_member(connection, programme_id=desk.programme.id, member_id=member_id)
            if form["remove"]:
                await remove_tag(connection, member_id=member.id, tag=form["remove"])
            else:
                await add_tag(
                    connection,
                    programme_id=desk.programme.id,
                    member_ids=[member.id],
                    tag=form["tag"],
                    added_by=desk.staff.name,
                )
    except (InvalidInputError, ConflictError):
        return see_other(f"/console/members/{member_id}?tag=refused#tags")
    return see_other(f"/console/members/{member_id}#tags")


HANDLERS: Final = (
    show_segments,
    create_one,
    show_segment,
    change_one,
    count_draft,
    retire_one,
    export_one,
    tag_member,
)
