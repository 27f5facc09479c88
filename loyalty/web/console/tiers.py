"""Tier policies for people who do not program: read as sentences, tried on real members, published at a date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import reduce
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.tier_trials import try_version
from loyalty.kit.clock import start_of_local_day, utc_now
from loyalty.kit.errors import ConflictError, DomainError, InvalidInputError, NotFoundError
from loyalty.kit.ids import public_id
from loyalty.members.identity import find
from loyalty.members.member import Member, get_member
from loyalty.members.reading import count_members
from loyalty.web.charts import Column, column_chart
from loyalty.web.console import tier_form
from loyalty.web.console.desk import console_page, words
from loyalty.web.console.tier_changes import ChangeLines
from loyalty.web.console.tier_labels import Labels
from loyalty.web.forms import read_form, see_other
from loyalty.web.i18n import Formats, Translator
from loyalty.web.staff.person import Desk, read_manager
from loyalty.web.state import Services
from loyalty.web.tier_words import factor_text, metric_text, policy_text, rule_text
from tiers import versions
from tiers.changes import Reason
from tiers.policies import KeepMonths, Tier, TierPolicy
from tiers.reading import count_by_tier
from tiers.simulation import Preview, Simulation, StoredSimulation, find_simulation, preview
from tiers.versions import StoredVersion
from tiers.wording import reason_text

_REFUSED: Final = 400
_HOME: Final = "/console/tiers"
_DONE: Final = ("created", "saved", "simulated", "published", "withdrawn", "retired")


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """A tier in words: what it asks for, and how many members it has."""

    tier: Tier
    asks: str | None
    members: int | None
    cost: str
    earn: str


class EdgeLine(msgspec.Struct, frozen=True, kw_only=True):
    """A member at the edge of a tier, with why."""

    member_id: str
    tier: str
    made: bool
    share: str
    why: str


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation as the page shows it: the matrix of movements, and what it costs."""

    stored: StoredSimulation
    fresh: bool
    rows: list[tuple[str, list[int], int]]
    columns: list[str]
    chart: Markup
    edges: list[EdgeLine]

    @property
    def result(self) -> Simulation:
        """The figures."""
        return self.stored.result


@get("/tiers")
async def show_tiers(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """The policy in force as sentences, with how many members each tier has, and all versions."""
    now = utc_now()
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        programme_id = desk.programme.id
        found = await versions.list_versions(connection, programme_id=programme_id)
        members = (await count_members(connection, programme_id=programme_id)).active
        counts = await count_by_tier(connection, programme_id=programme_id, member_count=members, moment=now)
    present = next((each for each in found if each.state == "in_force"), None)
    by_code = {count.tier.code: count.members for count in counts}
    return console_page(
        request,
        "console/tiers.html",
        desk,
        section="tiers",
        present=present,
        sentences=policy_text(present.policy, t, formats) if present else [],
        rungs=_rungs(present.policy, t, formats, desk, by_code) if present else [],
        versions=found,
        members=members,
        title_of=lambda each: _title(each, t),
    )


def _title(version: StoredVersion, t: Translator) -> str:
    return version.title or t("tier_policies.page.version", version=version.version)


def _rungs(
    policy: TierPolicy, t: Translator, formats: Formats, desk: Desk, members: Mapping[str, int] | None = None
) -> list[Rung]:
    return [
        Rung(
            tier=tier,
            asks=rule_text(tier.qualify, t, formats) if tier.qualify is not None else None,
            members=members.get(tier.code, 0) if members is not None else None,
            cost=formats.money(tier.benefit_cost_minor, desk.programme.currency),
            earn=factor_text(tier.earn_rate_bp),
        )
        for tier in policy.tiers
    ]


@post("/tiers/drafts", status_code=303)
async def create_draft(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Begin a draft, as a copy of a version or from the two tiers every policy has."""
    form = await read_form(request, "of")
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        policy = _first_policy()
        if form["of"]:
            model = await versions.get_version(connection, programme_id=desk.programme.id, version=_number(form["of"]))
            policy = model.policy
        # Without a name until somebody gives it one: by its number it is known in every language.
        made = await versions.create_draft(
            connection, programme_id=desk.programme.id, policy=policy, title="", by=_by(desk)
        )
    return see_other(f"{_HOME}/{made.version}/edit")


def _first_policy() -> TierPolicy:
    return TierPolicy(
        tiers=(Tier(code="member", name={"zh": "会员", "en": "Member"}, rank=1),), keep=KeepMonths(months=12)
    )


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 6:  # noqa: PLR2004
        raise NotFoundError("there is no such version", field="version")
    return int(text)


def _by(desk: Desk) -> str:
    return desk.staff.name


@get("/tiers/{version:int}")
async def show_version(
    request: Request[Any, Any, Any], services: NamedDependency[Services], version: FromPath[int]
) -> Response[Any]:
    """One version: what it says, what it would do, one member tried, and who changed what."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        return await _show(request, connection, desk, version)


async def _show(
    request: Request[Any, Any, Any],
    connection: AsyncConnection,
    desk: Desk,
    number: int,
    *,
    error: DomainError | None = None,
) -> Response[Any]:
    t, formats = words(request, desk)
    programme_id = desk.programme.id
    version = await versions.get_version(connection, programme_id=programme_id, version=number)
    stored = await find_simulation(connection, programme_id=programme_id, version=number)
    events = await versions.list_events(connection, programme_id=programme_id, version=number)
    wanted = request.query_params.get("member", "").strip()[:100]
    member = await _tried(connection, desk, wanted) if wanted else None
    tried = None
    if member is not None:
        tried = await preview(
            connection,
            programme_id=programme_id,
            policy=version.policy,
            member_id=member.id,
            moment=utc_now(),
        )
    notice = request.query_params.get("done")
    currency = desk.programme.currency
    changes = ChangeLines(t, formats, version.policy, currency=currency)
    return console_page(
        request,
        "console/tier_policy.html",
        desk,
        section="tiers",
        status_code=_REFUSED if error else 200,
        here=f"{_HOME}/{number}",
        version=version,
        title=_title(version, t),
        sentences=policy_text(version.policy, t, formats),
        rungs=_rungs(version.policy, t, formats, desk),
        trial=_trial(stored, version, t, formats) if stored else None,
        others=[
            each
            for each in await versions.list_versions(connection, programme_id=programme_id)
            if each.version != number and each.state != "retired"
        ],
        title_of=lambda each: _title(each, t),
        events=[(event, changes.of(event.changes)) for event in events],
        wanted=wanted,
        member=member,
        tried=tried,
        tried_lines=_preview_lines(tried, version.policy, t, formats) if tried else [],
        name_of=_names(version.policy, t),
        notice=notice if notice in _DONE else None,
        error=Labels(t, version.policy, currency=currency).told(error) if error else None,
        today=utc_now().astimezone(desk.programme.zone).date(),
        currency=currency,
    )


async def _tried(connection: AsyncConnection, desk: Desk, wanted: str) -> Member | None:
    try:
        return await get_member(connection, programme_id=desk.programme.id, member_id=wanted)
    except DomainError:
        return None


def _names(policy: TierPolicy, t: Translator) -> Mapping[str, str]:
    return {tier.code: tier.name.get(t.language, tier.code) for tier in policy.tiers}


def _preview_lines(found: Preview, policy: TierPolicy, t: Translator, formats: Formats) -> list[tuple[str, str, bool]]:
    names = _names(policy, t)
    return [
        (names[code], _why(reasons, t, formats), not any(reason.missing for reason in reasons))
        for code, reasons in found.asked.items()
    ]


def _why(reasons: Sequence[Reason], t: Translator, formats: Formats) -> str:
    told = [
        reason_text(reason, locale=t.language, amount=lambda metric, n: metric_text(metric, n, t, formats))
        for reason in reasons
    ]
    return reduce(lambda left, right: t("tier_policies.page.between", left=left, right=right), told) if told else ""


def _trial(stored: StoredSimulation, version: StoredVersion, t: Translator, formats: Formats) -> Trial:
    result, names = stored.result, _names(version.policy, t)
    to_tiers = [effect.tier for effect in result.tiers]
    from_tiers = list(dict.fromkeys(move.from_tier for move in result.movements))
    order = {code: place for place, code in enumerate(to_tiers)}
    from_tiers.sort(key=lambda code: order.get(code or "", -1))
    members = {(move.from_tier, move.to_tier): move.members for move in result.movements}
    rows = []
    for code in from_tiers:
        cells = [members.get((code, to), 0) for to in to_tiers]
        name = names.get(code, code) if code else t("tier_policies.page.no_tier")
        rows.append((name, cells, sum(cells)))
    chart = column_chart(
        [Column(label=names.get(effect.tier, effect.tier), value=effect.members) for effect in result.tiers],
        title=t("tier_policies.page.chart"),
        description=t("tier_policies.page.chart_say"),
        number=formats.number,
    )
    return Trial(
        stored=stored,
        fresh=stored.revision == version.revision,
        rows=rows,
        columns=[names.get(code, code) for code in to_tiers],
        chart=chart,
        edges=[
            EdgeLine(
                member_id=public_id("mem", edge.member_id),
                tier=names.get(edge.tier, edge.tier),
                made=edge.made,
                share=formats.percent(edge.reached_bp),
                why=_why(edge.reasons, t, formats),
            )
            for edge in result.edges
        ],
    )


@get("/tiers/{version:int}/edit")
async def edit_version(
    request: Request[Any, Any, Any], services: NamedDependency[Services], version: FromPath[int]
) -> Response[Any]:
    """The form of a draft."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        found = await versions.get_version(connection, programme_id=desk.programme.id, version=version)
    if found.state != "draft":
        return see_other(f"{_HOME}/{version}")
    form = tier_form.form_of(found.policy, currency=desk.programme.currency)
    form |= {"title": found.title, "revision": str(found.revision)}
    return _form_page(request, desk, found, form)


def _form_page(
    request: Request[Any, Any, Any],
    desk: Desk,
    version: StoredVersion,
    form: Mapping[str, str],
    error: DomainError | None = None,
) -> Response[Any]:
    t, formats = words(request, desk)
    currency = desk.programme.currency
    kept = {
        tier.code: rule_text(tier.qualify, t, formats)
        for tier in version.policy.tiers
        if tier.qualify is not None and not tier_form.fits(tier.qualify, currency=currency)
    }
    return console_page(
        request,
        "console/tier_edit.html",
        desk,
        section="tiers",
        status_code=_REFUSED if error else 200,
        here=f"{_HOME}/{version.version}/edit",
        version=version,
        title=_title(version, t),
        form={name: form.get(name, "") for name in tier_form.FIELDS},
        tiers=range(tier_form.tiers_shown(form)),
        conditions=range(tier_form.CONDITIONS),
        options=_options(t),
        kept=kept,
        currency=currency,
        error=Labels(t, version.policy, currency=currency).told(error) if error else None,
        wrong=error.field if error else None,
    )


def _options(t: Translator) -> dict[str, list[tuple[str, str]]]:
    """What the form's lists offer, each value with its words."""
    choices = tier_form.CHOICES
    return {
        "metric": [(each, t(f"tier_policies.metric.{each}")) for each in tier_form.METRICS],
        "window": [(each, t(f"tier_policies.edit.window.{each}")) for each in tier_form.WINDOWS],
        "keep": [(each, t(f"tier_policies.edit.keep.{each}")) for each in tier_form.KEEPS],
        "upgrade": [(each, t(f"tier_policies.upgrade.{each}")) for each in choices["upgrade"]],
        "downgrade": [(each, t(f"tier_policies.downgrade.{each}")) for each in choices["downgrade"]],
        "requalification": [(each, t(f"tier_policies.requalification.{each}")) for each in choices["requalification"]],
        "refunds": [(each, t(f"tier_policies.refunds.{each}")) for each in choices["refunds"]],
        "at_start": [(each, t(f"tier_policies.at_start.{each}")) for each in choices["at_start"]],
    }


@post("/tiers/{version:int}/edit", status_code=303)
async def save_version(
    request: Request[Any, Any, Any], services: NamedDependency[Services], version: FromPath[int]
) -> Response[Any]:
    """Save a draft. What was typed wrong is said, and nothing is saved; so is what somebody else changed meanwhile."""
    form = await read_form(request, *tier_form.FIELDS)
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            found = await versions.get_version(connection, programme_id=desk.programme.id, version=version)
            await versions.edit_draft(
                connection,
                programme_id=desk.programme.id,
                version=version,
                revision=_number(form["revision"]),
                policy=tier_form.read_policy(form, found.policy, currency=desk.programme.currency),
                title=form["title"],
                by=_by(desk),
            )
    except (InvalidInputError, ConflictError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            found = await versions.get_version(connection, programme_id=desk.programme.id, version=version)
        return _form_page(request, desk, found, form, error)
    return _done(version, "saved")


def _done(version: int, what: str) -> Response[Any]:
    return see_other(f"{_HOME}/{version}?{urlencode({'done': what})}")


@post("/tiers/{version:int}/preview", status_code=303)
async def try_member(
    request: Request[Any, Any, Any], services: NamedDependency[Services], version: FromPath[int]
) -> Response[Any]:
    """Find the member whom a version is to be tried on. It comes in a form, so that no phone ends in an address."""
    text = (await read_form(request, "text"))["text"]
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        found = await find(connection, services.keyring, programme_id=desk.programme.id, text=text)
    who = found[0].public_id if found else "nobody"
    return see_other(f"{_HOME}/{version}?{urlencode({'member': who})}#try")


@post("/tiers/{version:int}/{action:str}", status_code=303)
async def act(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    version: FromPath[int],
    action: FromPath[str],
) -> Response[Any]:
    """Simulate, publish, withdraw or retire a version. What cannot be done is said, and nothing changes."""
    form = await read_form(request, "day", "when")
    try:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            done = await _act(connection, desk, version, action, form)
    except (InvalidInputError, ConflictError) as error:
        async with services.transaction() as connection:
            desk = await read_manager(request, services, connection)
            return await _show(request, connection, desk, version, error=error)
    return _done(version, done)


async def _act(connection: AsyncConnection, desk: Desk, version: int, action: str, form: Mapping[str, str]) -> str:
    which: dict[str, Any] = {"programme_id": desk.programme.id, "version": version, "by": _by(desk)}
    if action == "simulate":
        await try_version(connection, **which)
        return "simulated"
    if action == "publish":
        moment = None if form["when"] == "now" else _start_of(form["day"], desk)
        await versions.publish_draft(connection, **which, effective_at=moment)
        return "published"
    if action == "withdraw":
        await versions.withdraw(connection, **which)
        return "withdrawn"
    if action == "retire":
        await versions.retire(connection, **which)
        return "retired"
    raise NotFoundError("there is no such page", field="action")


def _start_of(text: str, desk: Desk) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError("choose the day from which it is to be in force", field="day") from None
    moment = start_of_local_day(day, desk.programme.time_zone)
    if moment <= utc_now():
        raise InvalidInputError("the day must lie ahead; to publish at once, choose that", field="day")
    return moment


@get("/tiers/compare")
async def compare(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """Two versions side by side: what they say, and what they would do."""
    chosen = [_number(request.query_params.get(name, "")) for name in ("a", "b")]
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        sides: list[dict[str, Any]] = []
        for number in chosen:
            found = await versions.get_version(connection, programme_id=desk.programme.id, version=number)
            stored = await find_simulation(connection, programme_id=desk.programme.id, version=number)
            sides.append(
                {
                    "version": found,
                    "title": _title(found, t),
                    "sentences": policy_text(found.policy, t, formats),
                    "rungs": _rungs(found.policy, t, formats, desk),
                    "trial": _trial(stored, found, t, formats) if stored else None,
                }
            )
        differences = versions.differences(sides[0]["version"].policy, sides[1]["version"].policy)
    return console_page(
        request,
        "console/tier_compare.html",
        desk,
        section="tiers",
        here=f"{_HOME}/compare?{urlencode({'a': chosen[0], 'b': chosen[1]})}",
        sides=sides,
        differences=ChangeLines(t, formats, sides[0]["version"].policy, currency=desk.programme.currency).of(
            differences
        ),
        currency=desk.programme.currency,
    )


HANDLERS: Final = [show_tiers, compare, create_draft, show_version, edit_version, save_version, try_member, act]
