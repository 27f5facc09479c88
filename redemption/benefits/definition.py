"""What a template promises: which thing is given, for how long, to whom how often, and what happens after a refund.

A definition is a JSON document as well; a template's versions are definitions that are never changed. Stock and budgets
are not part of it: they are figures of the template that move while its versions stay.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from loyalty.kit.clock import end_of_local_day, local_date, start_of_local_day
from loyalty.kit.errors import InvalidInputError
from redemption.checks import MAX_AMOUNT_MINOR, check_code, check_currency, check_name, check_range, check_text
from redemption.terms import FixedOff, FreeShipping, Terms, check_terms

MAX_DAYS: Final = 3_660
MAX_PER_MEMBER: Final = 100_000
MAX_ABOUT: Final = 2_000
MAX_TIERS: Final = 100

Kind = Literal["coupon", "money_off", "shipping", "gift", "experience", "service", "third_party"]
KINDS: Final[tuple[Kind, ...]] = (
    "coupon",
    "money_off",
    "shipping",
    "gift",
    "experience",
    "service",
    "third_party",
)


class _Gives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of the things that can be given."""


class Coupon(_Gives, frozen=True, kw_only=True, tag="coupon"):
    """Takes something off a basket under its `terms`."""

    terms: Terms


class MoneyOff(_Gives, frozen=True, kw_only=True, tag="money_off"):
    """A voucher: takes `amount_minor` off any basket of its currency, never more than the basket."""

    amount_minor: int
    currency: str


class Shipping(_Gives, frozen=True, kw_only=True, tag="shipping"):
    """Takes the shipping fee off, at most `max_amount_minor` of it where given."""

    currency: str
    max_amount_minor: int | None = None


class Gift(_Gives, frozen=True, kw_only=True, tag="gift"):
    """A thing that is handed over: `item` says which, in both languages; `sku` where the channel knows it."""

    item: dict[str, str]
    sku: str | None = None


class Occasion(_Gives, frozen=True, kw_only=True, tag="experience"):
    """Something to take part in: `what` and `where`, in both languages."""

    what: dict[str, str]
    where: dict[str, str]


class Service(_Gives, frozen=True, kw_only=True, tag="service"):
    """Something that is done for the member: `what`, in both languages."""

    what: dict[str, str]


class ThirdParty(_Gives, frozen=True, kw_only=True, tag="third_party"):
    """A code of somebody else's (`provider`), which the member uses there: `link`, where it can be."""

    provider: str
    link: str | None = None


Gives: TypeAlias = Coupon | MoneyOff | Shipping | Gift | Occasion | Service | ThirdParty


class DaysFromIssue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="by", tag="days"):
    """Valid from the moment of issue (or `after_days` later) to the end of the local day `days` days on."""

    days: int
    after_days: int = 0


class FixedDates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="by", tag="dates"):
    """Valid from the start of the local day `first_day` to the end of `last_day`, whenever it was issued."""

    first_day: date
    last_day: date


Validity: TypeAlias = DaysFromIssue | FixedDates

AfterRefund = Literal["return", "keep_used"]


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a template promises. `name` and `about` are by locale (`zh`, `en`).

    `per_member` and `per_member_day` limit how many one member is ever given, and on one local day. Members take a
    `claimable` one by themselves. After the whole purchase was refunded it is `return`ed, and valid for `return_days`
    more at least, or it stays used. `on_tiers` are the tiers whose entry gives it, `before_birthday_days` how many days
    before a birthday it is given. `budget` is the code of a budget shared with other templates. `cost_minor` is what
    one costs the brand where that is not what it takes off.
    """

    name: dict[str, str]
    gives: Gives
    validity: Validity
    about: dict[str, str] = {}
    per_member: int | None = None
    per_member_day: int | None = None
    claimable: bool = False
    transferable: bool = False
    after_refund: AfterRefund = "return"
    return_days: int = 0
    on_tiers: tuple[str, ...] = ()
    before_birthday_days: int | None = None
    budget: str | None = None
    cost_minor: int | None = None

    @property
    def kind(self) -> Kind:
        """The kind of thing that is given."""
        return kind_of(self.gives)

    @property
    def terms(self) -> Terms | None:
        """What it takes off a basket; None for what is handed over, done, or used elsewhere."""
        match self.gives:
            case Coupon(terms=terms):
                return terms
            case MoneyOff(amount_minor=amount_minor, currency=currency):
                return Terms(currency=currency, effect=FixedOff(amount_minor=amount_minor))
            case Shipping(currency=currency, max_amount_minor=most):
                return Terms(currency=currency, effect=FreeShipping(max_amount_minor=most))
            case _:
                return None

    def valid_between(self, issued_at: datetime, time_zone: str) -> tuple[datetime, datetime]:
        """From when and until when (exclusive) one that is issued at a moment can be used."""
        match self.validity:
            case DaysFromIssue(days=days, after_days=after_days):
                today = local_date(issued_at, time_zone)
                begins = issued_at
                if after_days:
                    begins = start_of_local_day(today + timedelta(days=after_days), time_zone)
                return begins, end_of_local_day(today + timedelta(days=after_days + days), time_zone)
            case FixedDates(first_day=first_day, last_day=last_day):
                return start_of_local_day(first_day, time_zone), end_of_local_day(last_day, time_zone)


def kind_of(gives: Gives) -> Kind:
    """The tag of what is given."""
    tag: Kind = gives.__struct_config__.tag  # type: ignore[assignment]  # the tags are the kinds, as a test holds
    return tag


def read_definition(document: object) -> Definition:
    """Read what was stored."""
    return msgspec.convert(document, Definition)


def parse_definition(document: object, *, path: str = "definition") -> Definition:
    """Read a definition from decoded JSON and check it. Raises InvalidInputError naming the field below `path`."""
    try:
        definition = msgspec.convert(document, Definition)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        raise InvalidInputError(reason, field=path + place.rstrip("`")) from None
    check_definition(definition)
    return definition


def check_definition(definition: Definition) -> None:
    """Hold a definition against its limits. Raises InvalidInputError naming the field."""
    _check_texts(definition)
    _check_gives(definition.gives)
    _check_validity(definition.validity)
    _check_giving(definition)


def _check_texts(definition: Definition) -> None:
    check_name(definition.name)
    if b"\\u0000" in msgspec.json.encode(definition):
        raise InvalidInputError("a text holds a NUL character", field="definition")
    for locale, text in definition.about.items():
        if locale not in ("zh", "en") or len(text) > MAX_ABOUT:
            raise InvalidInputError(f"at most {MAX_ABOUT} characters, in zh and en", field=f"about.{locale[:10]}")


def _check_giving(definition: Definition) -> None:
    for name, most in (("per_member", MAX_PER_MEMBER), ("per_member_day", MAX_PER_MEMBER)):
        value: int | None = getattr(definition, name)
        if value is not None:
            check_range(value, name, least=1, most=most)
    check_range(definition.return_days, "return_days", least=0, most=MAX_DAYS)
    if definition.before_birthday_days is not None:
        check_range(definition.before_birthday_days, "before_birthday_days", least=0, most=60)
    if len(definition.on_tiers) > MAX_TIERS:
        raise InvalidInputError(f"at most {MAX_TIERS} tiers", field="on_tiers")
    for tier in definition.on_tiers:
        check_code(tier, "on_tiers")
    if definition.budget is not None:
        check_code(definition.budget, "budget")
    if definition.cost_minor is not None:
        check_range(definition.cost_minor, "cost_minor", least=0, most=MAX_AMOUNT_MINOR)


def _check_gives(gives: Gives) -> None:
    match gives:
        case Coupon(terms=terms):
            check_terms(terms, path="gives.terms")
        case MoneyOff(amount_minor=amount_minor, currency=currency):
            check_range(amount_minor, "gives.amount_minor", least=1, most=MAX_AMOUNT_MINOR)
            check_currency(currency, "gives.currency")
        case Shipping(max_amount_minor=most, currency=currency):
            check_currency(currency, "gives.currency")
            if most is not None:
                check_range(most, "gives.max_amount_minor", least=1, most=MAX_AMOUNT_MINOR)
        case Gift(item=item, sku=sku):
            _check_both(item, "gives.item")
            check_text(sku, "gives.sku")
        case Occasion(what=what, where=where):
            _check_both(what, "gives.what")
            _check_both(where, "gives.where")
        case Service(what=what):
            _check_both(what, "gives.what")
        case ThirdParty(provider=provider, link=link):
            check_text(provider, "gives.provider")
            check_text(link, "gives.link")
            if link is not None and not link.startswith("https://"):
                raise InvalidInputError("a link begins with https://", field="gives.link")


def _check_both(texts: dict[str, str], field: str) -> None:
    for locale in ("zh", "en"):
        text = texts.get(locale, "")
        if not text.strip() or len(text) > MAX_ABOUT:
            raise InvalidInputError("a text in Chinese and in English is needed", field=f"{field}.{locale}")


def _check_validity(validity: Validity) -> None:
    match validity:
        case DaysFromIssue(days=days, after_days=after_days):
            check_range(days, "validity.days", least=0, most=MAX_DAYS)
            check_range(after_days, "validity.after_days", least=0, most=MAX_DAYS)
        case FixedDates(first_day=first_day, last_day=last_day):
            if last_day < first_day:
                raise InvalidInputError("the last day is before the first", field="validity.last_day")
