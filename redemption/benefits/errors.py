"""Refusals of benefits. Each says in `members` what a page needs to explain it in any language."""

from __future__ import annotations

from loyalty.kit.errors import ConflictError, NotFoundError


class UnknownTemplateError(NotFoundError):
    """No template has this code in this programme."""

    type = "unknown-template"
    title = "There is no such template"


class UnknownBenefitError(NotFoundError):
    """No benefit has this code, or none in this member's wallet."""

    type = "unknown-benefit"
    title = "There is no such benefit"


class NotPublishedError(ConflictError):
    """A template is a draft still, or retired: `state`."""

    type = "template-not-published"
    title = "This template gives nothing now"


class NothingToUndoError(ConflictError):
    """A draft has no earlier state, or there is none."""

    type = "nothing-to-undo"
    title = "There is nothing to undo"


class OutOfBenefitsError(ConflictError):
    """Stock, codes or a budget are used up: `unit` is `stock`, `codes`, `uses` or `amount_minor`."""

    type = "benefits-used-up"
    title = "None is left"


class MemberLimitError(ConflictError):
    """A member had as many as one may: `limit`, `period` (`ever` or `day`)."""

    type = "member-limit-reached"
    title = "This member had as many as one may"


class NotTransferableError(ConflictError):
    """A benefit stays with whom it was given to."""

    type = "not-transferable"
    title = "This benefit cannot be given away"


class NotClaimableError(ConflictError):
    """A template is given, not taken."""

    type = "not-claimable"
    title = "This benefit cannot be claimed"


class BenefitNotUsableError(ConflictError):
    """A benefit is locked, used, expired, revoked, or not valid yet: `state`."""

    type = "benefit-not-usable"
    title = "This benefit cannot be used"


class BenefitUsedError(ConflictError):
    """What is to be taken back was used meanwhile."""

    type = "benefit-used"
    title = "The benefit was used already"
