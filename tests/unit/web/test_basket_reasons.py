from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from loyalty.web.basket_reasons import reason_sentence
from loyalty.web.i18n import Formats, Language, Translator, catalogue
from redemption.basket import Reason, ReasonCode


def test_every_reason_has_its_sentence_and_there_are_no_others() -> None:
    codes = {key.removeprefix("basket.reason.") for key in catalogue("en") if key.startswith("basket.reason.")}
    assert codes == set(get_args(ReasonCode))


@pytest.mark.parametrize(
    ("language", "reason", "sentence"),
    [
        (
            "en",
            Reason(
                code="basket_too_small",
                parameters={"minimum_minor": 10_000, "amount_minor": 8_050, "missing_minor": 1_950},
            ),
            "It needs a basket of ¥100.00; ¥19.50 more to go.",
        ),
        ("zh", Reason(code="better_in_group", parameters={"reference": "c2"}), "同类券只能用一张，“双十一券”更划算。"),
        (
            "en",
            Reason(code="not_yet_valid", parameters={"valid_from": datetime(2026, 11, 11, 16, tzinfo=UTC).isoformat()}),
            "It is valid from 12 Nov 2026, 00:00.",
        ),
    ],
)
def test_a_sentence_says_money_and_days_as_its_language_does(language: Language, reason: Reason, sentence: str) -> None:
    formats = Formats(language, ZoneInfo("Asia/Shanghai"))
    written = reason_sentence(Translator(language), formats, reason, currency="CNY", coupon_names={"c2": "双十一券"})
    assert written.replace("\N{NO-BREAK SPACE}", " ") == sentence
