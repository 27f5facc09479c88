"""What members agree to: which purposes, in which version of which words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from loyalty.members.consent import MARKETING_SMS, TERMS, Consent, agrees

TERMS_VERSION: Final = "2026-11"
"""The version of `terms.toml` in both languages. Change it with the words, so that consents name what was read."""
MARKETING_VERSION: Final = "2026-11"
SOURCE: Final = "member-pages"


def answer_terms(now: datetime) -> Consent:
    """Somebody agreed to the terms."""
    return Consent(purpose=TERMS, granted=True, text_version=TERMS_VERSION, given_at=now, source=SOURCE)


def answer_marketing(now: datetime, *, granted: bool) -> Consent:
    """Somebody agreed to be told of offers by text message, or no longer does."""
    return Consent(purpose=MARKETING_SMS, granted=granted, text_version=MARKETING_VERSION, given_at=now, source=SOURCE)


def must_ask(consents: Mapping[str, Consent]) -> bool:
    """Whether somebody has yet to agree to the terms as they are now, such as a member a shop brought along."""
    return not agrees(consents, TERMS) or consents[TERMS].text_version != TERMS_VERSION
