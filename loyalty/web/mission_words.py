"""What a mission gives, in words, for the member's card and the console."""

from __future__ import annotations

from collections.abc import Mapping

from loyalty.campaigns.missions.mission import MissionTerms
from loyalty.web.i18n import Translator


def reward_words(terms: MissionTerms, t: Translator, *, benefits: Mapping[str, str]) -> str:
    """`50 points and “Treatment”`; `benefits` are the names of templates by code."""
    said = [t("missions.reward", n=terms.points)] if terms.points else []
    if terms.benefit is not None:
        said.append(t("missions.reward_benefit", name=benefits.get(terms.benefit, terms.benefit)))
    if terms.draw is not None:
        said.append(t("missions.reward_entry"))
    first, *others = said
    for other in others:
        first = t("missions.both", one=first, other=other)
    return first
