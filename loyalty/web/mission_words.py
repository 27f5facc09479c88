"""What a mission gives, in words, for the member's card and the console."""

from __future__ import annotations

from collections.abc import Mapping

from loyalty.campaigns.missions.mission import MissionTerms
from loyalty.web.i18n import Translator


def reward_words(terms: MissionTerms, t: Translator, *, benefits: Mapping[str, str]) -> str:
    """`50 points and “Treatment”`; `benefits` are the names of templates by code."""
    points = t("missions.reward", n=terms.points)
    if terms.benefit is None:
        return points
    benefit = t("missions.reward_benefit", name=benefits.get(terms.benefit, terms.benefit))
    return t("missions.both", points=points, benefit=benefit) if terms.points else benefit
