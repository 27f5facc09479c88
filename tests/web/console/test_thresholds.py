"""The thresholds of scans in the console: sentences with gaps, filled in by an administrator."""

from __future__ import annotations

import msgspec
import pytest

from loyalty.items.thresholds import own_thresholds
from loyalty.items.verdicts import DEFAULT_SETTINGS
from loyalty.kit.db import transaction
from loyalty.web.console.thresholds import NAMES, SENTENCES, SWITCHES, THRESHOLDS, read_sentence
from loyalty.web.i18n import LANGUAGES, Language, Translator
from tests.web.house import House

USUAL = {
    name: ("yes" if value else "no") if name in SWITCHES else str(value)
    for name, value in msgspec.structs.asdict(DEFAULT_SETTINGS).items()
}


async def own(house: House) -> dict[str, int | bool]:
    async with transaction(house.engine) as connection:
        return await own_thresholds(connection, programme_id=house.programme.id)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_threshold_is_the_gap_of_one_sentence(language: Language) -> None:
    sentences = [read_sentence(name, Translator(language)) for part in SENTENCES.values() for name in part]
    gaps = [gap for sentence in sentences for _, gap in sentence if gap]
    assert sorted(gaps) == sorted(NAMES)


async def test_what_differs_from_the_usual_is_the_brands_own_until_it_goes_back(house: House) -> None:
    async with house.at_work("zhao.lei") as admin:
        await admin.get(THRESHOLDS)
        assert "From phones within hours on, shoppers are asked to look twice" in admin.words
        await admin.send(THRESHOLDS, **USUAL | {"amber_devices": "４", "trust_network_places": "yes"})
        assert "Saved. It holds from the next scan on." in admin.words
        assert await own(house) == {"amber_devices": 4, "trust_network_places": True}
        assert 'name="amber_devices" value="4"' in admin.text
        await admin.send(THRESHOLDS, do="reset")
        assert await own(house) == {}
        assert "Back to the usual numbers" not in admin.words


async def test_a_number_that_cannot_be_is_told_at_its_gap_and_kept_in_it(house: House) -> None:
    async with house.at_work("zhao.lei") as admin:
        for text in ("0", "745", "a day", ""):
            await admin.get(THRESHOLDS)
            refused = await admin.send(THRESHOLDS, **USUAL | {"window_hours": text, "pin_tries": "3"})
            assert refused.status_code == 422
            assert "Type a whole number from 1 to 744." in admin.words
            assert f'name="window_hours" value="{text}"' in admin.text
    assert await own(house) == {}


async def test_crm_reads_it_and_changes_nothing_and_a_clerk_sees_none_of_it(house: House) -> None:
    async with house.at_work("chen.min") as crm:
        await crm.get(THRESHOLDS)
        assert "From 3 phones within 24 hours on" in crm.words
        await crm.get("/console/trace")
        assert (await crm.send(THRESHOLDS, **USUAL)).status_code == 403
    async with house.at_work("li.na") as clerk:
        assert (await clerk.get(THRESHOLDS)).status_code == 403
