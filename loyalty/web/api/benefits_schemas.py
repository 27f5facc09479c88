"""Requests and answers about benefits: templates, stock, issues, wallets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from loyalty.campaigns.holdout import MOST_SHARE_BP
from loyalty.kit.ids import public_id
from loyalty.kit.quotas import Level
from loyalty.members.member import MEMBER_PREFIX
from loyalty.web.api.operations import Currency, MemberReference, Person, Reference, Text, tell
from redemption.benefits.budgets import Budget
from redemption.benefits.bulk import Issue, IssueState
from redemption.benefits.definition import Definition, Kind
from redemption.benefits.stock import LINES_AT_ONCE, MAX_CODE, Codes
from redemption.benefits.templates import StockKind, Template, TemplateState
from redemption.benefits.wallet import PREFIX, Benefit, BenefitState
from redemption.checks import MAX_AMOUNT_MINOR

ISSUE_PREFIX = "iss"

TemplateCode = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$", examples=["welcome"])]
Total = Annotated[int, Meta(ge=0, le=MAX_AMOUNT_MINOR, description="In all, those given or used before included.")]
Names = Annotated[
    dict[str, str], Meta(description="By locale: zh and en.", examples=[{"zh": "新人券", "en": "Welcome"}])
]


class SaveDraftRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the template is to promise; nothing is given under it before it is published."""

    definition: Definition
    actor: Person


class ActRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who does it, for the history."""

    actor: Person


class StockRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unlimited, or counted: `total` in all."""

    kind: Literal["unlimited", "counted"]
    total: Total | None = None
    actor: Person


class BudgetRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often they may be used, and how much they may take off, in all; what is left out stays as it is."""

    uses: Total | None = None
    amount_minor: Total | None = None
    actor: Person


class SharedBudgetRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A budget that templates name and share."""

    name: Names
    currency: Currency
    uses: Total | None = None
    amount_minor: Total | None = None
    actor: Person


class CodesRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Codes to hand out, once each. A larger file is imported by command or in the console."""

    codes: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=MAX_CODE)]], Meta(min_length=1, max_length=LINES_AT_ONCE)
    ]
    actor: Person


class RefusedCode(Struct, frozen=True, kw_only=True):
    """A code that was not taken; `line` is its place in the list, from 1."""

    line: int
    reason: str


class CodesAnswer(Struct, frozen=True, kw_only=True):
    """What came of the codes."""

    lines: int
    added: int
    refused: int
    examples: list[RefusedCode]


class LevelAnswer(Struct, frozen=True, kw_only=True):
    """How far something is used up."""

    total: int
    left: int


class TemplateAnswer(Struct, frozen=True, kw_only=True):
    """A template as it stands. `definition` is the version in force, or the draft where there is none yet."""

    code: str
    kind: Kind
    state: TemplateState
    version: int
    definition: Definition
    draft: Definition | None
    stock: StockKind
    figures: dict[str, LevelAnswer]
    codes: LevelAnswer | None
    changed_at: datetime


class Templates(Struct, frozen=True, kw_only=True):
    """Templates by code."""

    data: list[TemplateAnswer]


class BudgetAnswer(Struct, frozen=True, kw_only=True):
    """A shared budget and its figures."""

    code: str
    name: dict[str, str]
    currency: str
    figures: dict[str, LevelAnswer]


class EverybodyRequest(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="everybody"):
    """All members."""


class TiersRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="tiers"):
    """Members who are on one of these tiers when the issue begins."""

    tiers: Annotated[list[TemplateCode], Meta(min_length=1, max_length=100)]


class InSegmentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="segment"):
    """Members of a segment's newest version, as of today."""

    segment: Annotated[str, Meta(pattern="^seg_[0-9A-Za-z]{26}$")]


class ListRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="list"):
    """These members."""

    members: Annotated[list[MemberReference], Meta(min_length=1, max_length=10_000)]


class BeginIssueRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Issue one to each member of an audience. A worker does it; ask for the issue to see how far it is."""

    template: TemplateCode
    name: Text
    audience: EverybodyRequest | TiersRequest | InSegmentRequest | ListRequest
    campaign: Reference | None = None
    hold_out_bp: Annotated[int, Meta(ge=0, le=MOST_SHARE_BP, description="The control group, of 10,000.")] = 0
    actor: Person


class IssueAnswer(Struct, frozen=True, kw_only=True):
    """An issue, and how far it is: of `total` members `done` were come to and `issued` were given one."""

    id: str
    name: str
    version: int
    campaign: str | None
    audience: dict[str, Any]
    state: IssueState
    reason: str | None
    total: int | None
    done: int
    issued: int
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class IssueBenefitRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put one of a template into the member's wallet."""

    template: TemplateCode
    source: Reference
    campaign: Reference | None = None
    clerk: Person | None = None


class ClaimBenefitRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The member takes one by themselves."""

    template: TemplateCode


class TransferBenefitRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give it to another member."""

    to_member_id: MemberReference


class BenefitAnswer(Struct, frozen=True, kw_only=True):
    """A benefit in a wallet, with what it promises. `waiting`: its time has not come."""

    id: str
    member_id: str
    code: str
    state: BenefitState
    waiting: bool
    template: str
    version: int
    kind: Kind
    definition: Definition
    source: str
    campaign: str | None
    issued_at: datetime
    valid_from: datetime
    expires_at: datetime


class Benefits(Struct, frozen=True, kw_only=True):
    """A member's benefits, soonest to expire first."""

    data: list[BenefitAnswer]


def benefit_answer(benefit: Benefit) -> BenefitAnswer:
    """A benefit as it is told."""
    return tell(
        BenefitAnswer,
        benefit,
        id=public_id(PREFIX, benefit.id),
        member_id=public_id(MEMBER_PREFIX, benefit.member_id),
        template=benefit.template_code,
        kind=benefit.definition.kind,
    )


def template_answer(template: Template, figures: dict[str, Level], codes: Codes | None) -> TemplateAnswer:
    """A template as it is told."""
    told = LevelAnswer(total=codes.imported, left=codes.free) if codes else None
    return tell(TemplateAnswer, template, figures=figures_answer(figures), codes=told)


def figures_answer(figures: dict[str, Level]) -> dict[str, LevelAnswer]:
    """Figures as they are told, by unit."""
    return {unit: LevelAnswer(total=level.total, left=level.left) for unit, level in figures.items()}


def budget_answer(budget: Budget, figures: dict[str, Level]) -> BudgetAnswer:
    """A shared budget as it is told."""
    return tell(BudgetAnswer, budget, figures=figures_answer(figures))


def issue_answer(issue: Issue) -> IssueAnswer:
    """An issue as it is told."""
    return tell(IssueAnswer, issue, id=public_id(ISSUE_PREFIX, issue.id))
