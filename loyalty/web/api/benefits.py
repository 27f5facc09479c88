"""Benefits: templates from draft to retirement, their stock, issues to many, and members' wallets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.campaigns.giving import check_audience
from loyalty.campaigns.holdout import define_holdout
from loyalty.kit.ids import parse_public_id
from loyalty.members.member import get_member
from loyalty.web.api import benefits_schemas as shapes
from loyalty.web.api.operations import IdempotencyKey, Require, body_problems, keyed_problems, problems, tell
from loyalty.web.idempotency import once
from loyalty.web.security.api_keys import Caller
from loyalty.web.state import Services
from redemption.benefits import bulk, stock, templates
from redemption.benefits.budgets import figures_of, get_budget, save_budget

_CODE: Final = "^[a-z0-9][a-z0-9-]{0,39}$"
Code = Annotated[str, PathParameter(pattern=_CODE, description="The template's code.")]
BudgetCode = Annotated[str, PathParameter(pattern=_CODE, description="The budget's code.")]
IssueId = Annotated[
    str, PathParameter(pattern=f"^{shapes.ISSUE_PREFIX}_[0-9A-Za-z]{{26}}$", description="The issue's id.")
]


async def _tell(connection: AsyncConnection, template: templates.Template) -> shapes.TemplateAnswer:
    codes = await stock.count_codes(connection, template.id) if template.stock == "codes" else None
    return shapes.template_answer(template, await figures_of(connection, template.id), codes)


@get(
    "/benefits/templates",
    operation_id="listBenefitTemplates",
    summary="Templates of benefits",
    guards=[Require("redemptions:read")],
    responses=problems(),
)
async def list_benefit_templates(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    wanted: Annotated[
        templates.TemplateState | None, QueryParameter(name="state", description="Only those in this state.")
    ] = None,
) -> shapes.Templates:
    """What there is to give, by code."""
    async with services.transaction() as connection:
        states = [wanted] if wanted else ()
        found = await templates.list_templates(connection, programme_id=caller.programme_id, states=states)
        return shapes.Templates(data=[await _tell(connection, template) for template in found])


@get(
    "/benefits/templates/{code:str}",
    operation_id="getBenefitTemplate",
    summary="A template",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def get_benefit_template(
    services: NamedDependency[Services], caller: NamedDependency[Caller], code: Code
) -> shapes.TemplateAnswer:
    """A template with its draft, and how far stock and budgets are used up."""
    async with services.transaction() as connection:
        found = await templates.get_template(connection, programme_id=caller.programme_id, code=code)
        return await _tell(connection, found)


_Act = Callable[..., Awaitable[Any]]


async def _change_template(
    services: Services, caller: Caller, key: str, operation: str, code: str, data: Any, act: _Act, **fields: Any
) -> Response[Any]:
    """Do something to a template in the name of `data.actor`, once for its key, and answer how it stands then."""
    programme_id = caller.programme_id

    async def work(connection: AsyncConnection) -> shapes.TemplateAnswer:
        await act(connection, programme_id=programme_id, code=code, actor=data.actor, **fields)
        return await _tell(connection, await templates.get_template(connection, programme_id=programme_id, code=code))

    request = {"template": code, "data": data}
    return await once(services, caller, key, operation=operation, request=request, status=201, work=work)


@post(
    "/benefits/templates/{code:str}/draft",
    operation_id="saveBenefitDraft",
    summary="Save a template's draft",
    guards=[Require("benefits:write")],
    responses=keyed_problems(404),
)
async def save_benefit_draft(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    code: Code,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.SaveDraftRequest],
) -> Response[shapes.TemplateAnswer]:
    """Begin a template, or the next version of one. What was published before stays in force until this is."""
    return await _change_template(
        services,
        caller,
        idempotency_key,
        "saveBenefitDraft",
        code,
        data,
        templates.save_draft,
        definition=data.definition,
    )


@post(
    "/benefits/templates/{code:str}/undo",
    operation_id="undoBenefitDraft",
    summary="Undo the last saving of a draft",
    guards=[Require("benefits:write")],
    responses=keyed_problems(404),
)
async def undo_benefit_draft(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    code: Code,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ActRequest],
) -> Response[shapes.TemplateAnswer]:
    """Take the last saving back; again and again, to the first draft or what was published."""
    return await _change_template(
        services, caller, idempotency_key, "undoBenefitDraft", code, data, templates.undo_draft
    )


@post(
    "/benefits/templates/{code:str}/publish",
    operation_id="publishBenefitTemplate",
    summary="Publish a template's draft",
    guards=[Require("benefits:write")],
    responses=keyed_problems(404),
)
async def publish_benefit_template(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    code: Code,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ActRequest],
) -> Response[shapes.TemplateAnswer]:
    """Make the draft the version in force; what was issued before keeps its version."""
    return await _change_template(
        services, caller, idempotency_key, "publishBenefitTemplate", code, data, templates.publish
    )


@post(
    "/benefits/templates/{code:str}/retire",
    operation_id="retireBenefitTemplate",
    summary="Retire a template",
    guards=[Require("benefits:write")],
    responses=keyed_problems(404),
)
async def retire_benefit_template(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    code: Code,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.ActRequest],
) -> Response[shapes.TemplateAnswer]:
    """Give no more of it. What was issued can still be used."""
    return await _change_template(
        services, caller, idempotency_key, "retireBenefitTemplate", code, data, templates.retire
    )


@post(
    "/benefits/templates/{code:str}/stock",
    operation_id="setBenefitStock",
    summary="Set a template's stock",
    guards=[Require("benefits:write")],
    responses=keyed_problems(404),
)
async def set_benefit_stock(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    code: Code,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.StockRequest],
) -> Response[shapes.TemplateAnswer]:
    """Say how many there may be in all, or that nobody counts."""
    return await _change_template(
        services,
        caller,
        idempotency_key,
        "setBenefitStock",
        code,
        data,
        stock.set_stock,
        kind=data.kind,
        total=data.total,
    )


@post(
    "/benefits/templates/{code:str}/budget",
    operation_id="setBenefitBudget",
    summary="Set a template's budget",
    guards=[Require("benefits:write")],
    responses=keyed_problems(404),
)
async def set_benefit_budget(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    code: Code,
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.BudgetRequest],
) -> Response[shapes.TemplateAnswer]:
    """Say how often they may be used and how much they may take off, in all."""
    return await _change_template(
        services,
        caller,
        idempotency_key,
        "setBenefitBudget",
        code,
        data,
        stock.set_budget,
        uses=data.uses,
        amount_minor=data.amount_minor,
    )


@put(
    "/benefits/templates/{code:str}/codes",
    operation_id="importBenefitCodes",
    summary="Import codes to hand out",
    guards=[Require("benefits:write")],
    responses=body_problems(404, 409),
)
async def import_benefit_codes(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    code: Code,
    data: JSONBody[shapes.CodesRequest],
) -> shapes.CodesAnswer:
    """Add codes; one that is there already is refused, so that sending them again adds nothing. Takes no key."""

    async def lines() -> AsyncIterator[str]:
        for line in data.codes:
            yield line

    told = await stock.import_codes(
        services.engine, programme_id=caller.programme_id, code=code, lines=lines(), actor=data.actor
    )
    return tell(shapes.CodesAnswer, told, examples=[tell(shapes.RefusedCode, each) for each in told.examples])


@put(
    "/benefits/budgets/{code:str}",
    operation_id="saveBenefitBudget",
    summary="Save a budget that templates share",
    guards=[Require("benefits:write")],
    responses=body_problems(404, 409),
)
async def save_shared_budget(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    code: BudgetCode,
    data: JSONBody[shapes.SharedBudgetRequest],
) -> shapes.BudgetAnswer:
    """Make a budget, or change its figures. The same again changes nothing; takes no key."""
    async with services.transaction() as connection:
        budget = await save_budget(
            connection,
            programme_id=caller.programme_id,
            code=code,
            name=data.name,
            currency=data.currency,
            uses=data.uses,
            amount_minor=data.amount_minor,
            actor=data.actor,
        )
        return shapes.budget_answer(budget, await figures_of(connection, budget.id))


@get(
    "/benefits/budgets/{code:str}",
    operation_id="getBenefitBudget",
    summary="A budget that templates share",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def get_shared_budget(
    services: NamedDependency[Services], caller: NamedDependency[Caller], code: BudgetCode
) -> shapes.BudgetAnswer:
    """How far it is used up."""
    async with services.transaction() as connection:
        budget = await get_budget(connection, programme_id=caller.programme_id, code=code)
        return shapes.budget_answer(budget, await figures_of(connection, budget.id))


@post(
    "/benefits/issues",
    operation_id="beginBenefitIssue",
    summary="Issue a benefit to many",
    guards=[Require("benefits:write")],
    responses=keyed_problems(404),
)
async def begin_benefit_issue(
    services: NamedDependency[Services],
    caller: NamedDependency[Caller],
    idempotency_key: IdempotencyKey,
    data: JSONBody[shapes.BeginIssueRequest],
) -> Response[shapes.IssueAnswer]:
    """Give one to everybody, to tiers, to a segment, or to a list, without those of a control group."""

    async def work(connection: AsyncConnection) -> shapes.IssueAnswer:
        described: dict[str, Any] = msgspec.to_builtins(data.audience)
        members = []
        for reference in described.pop("members", ()):
            found = await get_member(connection, programme_id=caller.programme_id, member_id=reference)
            members.append(found.id)
        audience = await check_audience(connection, programme_id=caller.programme_id, audience=described)
        issue = await bulk.begin_issue(
            connection,
            programme_id=caller.programme_id,
            template_code=data.template,
            name=data.name,
            audience=audience,
            members=members,
            campaign=data.campaign,
            actor=data.actor,
        )
        if data.hold_out_bp:
            await define_holdout(
                connection,
                programme_id=caller.programme_id,
                campaign_id=issue.id,
                share_bp=data.hold_out_bp,
                defined_by=data.actor,
            )
        return shapes.issue_answer(issue)

    return await once(
        services, caller, idempotency_key, operation="beginBenefitIssue", request=data, status=201, work=work
    )


@get(
    "/benefits/issues/{issue_id:str}",
    operation_id="getBenefitIssue",
    summary="An issue to many",
    guards=[Require("redemptions:read")],
    responses=problems(404),
)
async def get_benefit_issue(
    services: NamedDependency[Services], caller: NamedDependency[Caller], issue_id: IssueId
) -> shapes.IssueAnswer:
    """How far an issue is."""
    async with services.transaction() as connection:
        identifier = parse_public_id(shapes.ISSUE_PREFIX, issue_id, field="issue_id")
        found = await bulk.get_issue(connection, programme_id=caller.programme_id, issue_id=identifier)
    return shapes.issue_answer(found)


def _steering(step: str, operation: str, summary: str, description: str, act: _Act) -> HTTPRouteHandler:
    """The handler of a step that changes where an issue goes; it takes no key, because doing it again is the same."""

    @put(
        f"/benefits/issues/{{issue_id:str}}/{step}",
        operation_id=operation,
        summary=summary,
        description=description,
        guards=[Require("benefits:write")],
        responses=problems(404),
    )
    async def steer(
        services: NamedDependency[Services], caller: NamedDependency[Caller], issue_id: IssueId
    ) -> shapes.IssueAnswer:
        async with services.transaction() as connection:
            identifier = parse_public_id(shapes.ISSUE_PREFIX, issue_id, field="issue_id")
            asked = {"programme_id": caller.programme_id, "issue_id": identifier}
            return shapes.issue_answer(await act(connection, **asked, actor=caller.key.name))

    return steer


stop_benefit_issue = _steering(
    "stop", "stopBenefitIssue", "Stop an issue", "Issue no more for now. One that is over stays so.", bulk.stop_issue
)
resume_benefit_issue = _steering(
    "resume",
    "resumeBenefitIssue",
    "Go on with an issue",
    "Go on after the last member who got one; what is not stopped stays as it is.",
    bulk.resume_issue,
)
revoke_benefit_issue = _steering(
    "revoke",
    "revokeBenefitIssue",
    "Take an issue back",
    "End an issue and take back all of it that is not used, is not locked by a sale, and was not given on.",
    bulk.revoke_issue,
)


router: Final = Router(
    path="/",
    tags=["Benefits"],
    route_handlers=[
        list_benefit_templates,
        get_benefit_template,
        save_benefit_draft,
        undo_benefit_draft,
        publish_benefit_template,
        retire_benefit_template,
        set_benefit_stock,
        set_benefit_budget,
        import_benefit_codes,
        save_shared_budget,
        get_shared_budget,
        begin_benefit_issue,
        get_benefit_issue,
        stop_benefit_issue,
        resume_benefit_issue,
        revoke_benefit_issue,
    ],
)
