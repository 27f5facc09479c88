"""Effects: what came of campaigns, in plain words, with how sure it is."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.effects.intervals import Difference
from loyalty.effects.measuring import Effect, effect_of, measure
from loyalty.effects.subjects import Subject, list_subjects
from loyalty.web.console.desk import console_page, read_places, words
from loyalty.web.i18n import Formats, Translator
from loyalty.web.interval_chart import Interval, interval_chart
from loyalty.web.staff.person import read_manager
from loyalty.web.state import Services

_MOST: Final = 30
"""Campaigns measured for the list; each is some sums over those who bought while it ran."""
_WHOLE_BP: Final = 10_000


@get("/effects")
async def show_effects(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[Any]:
    """All that is measured, the latest first, and by how much more each was followed by buying."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        places = await read_places(connection, desk, t)
        subjects = await list_subjects(connection, programme_id=desk.programme.id)
        effects = [await measure(connection, subject) for subject in subjects[:_MOST]]
    by_currency: dict[str, list[Effect]] = {}
    for effect in effects:
        if effect.spending is not None:
            by_currency.setdefault(effect.currency, []).append(effect)
    return console_page(
        request,
        "console/effects.html",
        desk,
        section="effects",
        effects=effects,
        places=places,
        more=max(len(subjects) - _MOST, 0),
        say=lambda effect: say_spending(t, formats, effect),
        called=lambda subject: subject_words(t, subject),
        charts=[_chart(t, formats, currency, shown) for currency, shown in by_currency.items()],
    )


def _chart(t: Translator, formats: Formats, currency: str, effects: list[Effect]) -> Any:
    intervals = [
        Interval(label=subject_words(t, effect.campaign), estimate=d.estimate, low=d.low, high=d.high)
        for effect in effects
        if (d := effect.spending) is not None
    ]
    return interval_chart(
        intervals,
        title=t("effects.chart"),
        description=t("effects.chart_say"),
        number=lambda value: formats.money(round(value), currency),
    )


@get("/effects/{campaign_id:str}")
async def show_effect(
    request: Request[Any, Any, Any], services: NamedDependency[Services], campaign_id: FromPath[str]
) -> Response[Any]:
    """One campaign: whom it was sent to, what they did, against whom, and what it cost."""
    async with services.transaction() as connection:
        desk = await read_manager(request, services, connection)
        t, formats = words(request, desk)
        places = await read_places(connection, desk, t)
        effect = await effect_of(connection, programme_id=desk.programme.id, campaign_id=campaign_id)
    return console_page(
        request,
        "console/effect.html",
        desk,
        section="effects",
        effect=effect,
        campaign=effect.campaign,
        called=subject_words(t, effect.campaign),
        places=places,
        money=lambda amount: formats.money(round(amount), effect.currency),
        share=lambda part: formats.percent(round(part * _WHOLE_BP)),
        spending=say_spending(t, formats, effect),
        buying=_say_buying(t, effect.buying),
        charts=_charts(t, formats, effect),
    )


def subject_words(t: Translator, subject: Subject) -> str:
    """What is measured, by its name."""
    if subject.source == "sent":
        return t("effects.campaign", code=subject.code)
    return subject.name.get(t.language) or subject.code


def say_spending(t: Translator, formats: Formats, effect: Effect) -> str:
    """`between ¥3.00 and ¥9.00 more per member (95 %)`: the difference of mean spending in plain words."""
    found = effect.spending
    if found is None:
        return t("effects.too_few")
    low, high = (formats.money(abs(round(value)), effect.currency) for value in (found.low, found.high))
    return _between(t, found, low, high, "spending")


def _say_buying(t: Translator, found: Difference | None) -> str:
    if found is None:
        return t("effects.too_few")
    low, high = (f"{abs(value) * 100:.1f}" for value in (found.low, found.high))
    return _between(t, found, low, high, "buying")


def _between(t: Translator, found: Difference, low: str, high: str, what: str) -> str:
    if found.low >= 0:
        return t(f"effects.{what}.more", low=low, high=high)
    if found.high <= 0:
        return t(f"effects.{what}.less", low=high, high=low)
    return t(f"effects.{what}.either", low=low, high=high)


def _charts(t: Translator, formats: Formats, effect: Effect) -> list[Any]:
    charts = []
    if (found := effect.spending) is not None:
        line = Interval(label=t("effects.per_member"), estimate=found.estimate, low=found.low, high=found.high)
        charts.append(
            interval_chart(
                [line],
                title=t("effects.spending_title"),
                description=say_spending(t, formats, effect),
                number=lambda value: formats.money(round(value), effect.currency),
            )
        )
    if (found := effect.buying) is not None:
        line = Interval(label=t("effects.who_bought"), estimate=found.estimate, low=found.low, high=found.high)
        charts.append(
            interval_chart(
                [line],
                title=t("effects.buying_title"),
                description=_say_buying(t, found),
                number=lambda value: f"{value * 100:+.1f}%",
            )
        )
    return charts


HANDLERS: Final = (show_effects, show_effect)
