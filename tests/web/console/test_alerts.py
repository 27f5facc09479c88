"""Alerts in the console: a badge, a page, a state with a word why, and evidence whose hash is kept."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from hashlib import sha256

import pytest

from loyalty.items.scans import scan
from loyalty.items.trace.alerts import Alert, list_alerts, watch
from loyalty.items.verdicts import Place
from loyalty.kit.clock import utc_now
from loyalty.kit.db import transaction
from tests.web.console.conftest import GTIN, Life
from tests.web.house import House
from tests.web.member.conftest import Browser

SHANGHAI = Place(city="上海", region="CN-SH", latitude=31.23, longitude=121.47, source="device")
CHENGDU = Place(city="成都", region="CN-SC", latitude=30.57, longitude=104.07, source="device")


@pytest.fixture(scope="session")
async def alert(house: House, life: Life) -> Alert:
    """A code in two cities within minutes."""
    keys, programme_id = house.services.item_keys, house.programme.id
    serial = keys.for_product(GTIN, life.on_sale.kid).mint(life.on_sale.lo + 9)
    async with transaction(house.engine) as connection:
        for minutes, place in ((30, SHANGHAI), (20, CHENGDU)):
            await scan(
                connection,
                keys,
                programme_id=programme_id,
                gtin=GTIN,
                serial=serial,
                device=f"phone-{minutes}",
                place=place,
                at=utc_now() - timedelta(minutes=minutes),
            )
        await watch(connection, keys, programme_id=programme_id)
        return next(
            each for each in await list_alerts(connection, programme_id=programme_id) if each.kind == "suspected_copy"
        )


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_an_alert_is_told_in_both_languages(house: House, alert: Alert, language: str) -> None:
    async with house.at_work("zhao.lei", language=language) as browser:
        for path in ("/console", "/console/alerts", "/console/alerts?show=all&kind=suspected_copy"):
            await browser.get(path)
            assert f"/console/alerts/{alert.public_id}" in browser.text, path
        await browser.get(f"/console/alerts/{alert.public_id}")
    assert "chart__way" in browser.text
    assert ("km/h" if language == "en" else "公里/小时") in browser.words


async def test_the_overview_has_a_badge(manager: Browser, alert: Alert) -> None:
    await manager.get("/console")
    assert alert.state == "open"
    assert 'class="badge"' in manager.text
    assert "Scanned 2 times, in places too far apart" in manager.words


async def test_crm_reads_and_only_an_administrator_acts(house: House, alert: Alert) -> None:
    path = f"/console/alerts/{alert.public_id}"
    async with house.at_work("chen.min") as crm:
        await crm.get(path)
        assert "Take the evidence" not in crm.words
        assert (await crm.send(path, state="closed", note="x")).status_code == 403
        assert (await crm.send(f"{path}/evidence.zip")).status_code == 403
        assert (await crm.send("/console/alerts/settings")).status_code == 403


async def test_it_is_taken_on_its_evidence_taken_and_closed_with_a_word(admin: Browser, alert: Alert) -> None:
    path = f"/console/alerts/{alert.public_id}"
    await admin.get(path)
    await admin.send(path, state="acknowledged", note="")
    assert "Being looked at" in admin.words
    taken = await admin.send(f"{path}/evidence.zip")
    assert taken.headers["content-type"] == "application/zip"
    assert "scans.csv" in zipfile.ZipFile(io.BytesIO(taken.content)).namelist()
    await admin.get(path)
    assert sha256(taken.content).hexdigest() in admin.words

    assert (await admin.send(path, state="closed", note="")).status_code == 422
    assert "Say in a few words why it is closed" in admin.words
    await admin.send(path, state="closed", note="bought and tested: a copy")
    assert "staff:zhao.lei · bought and tested: a copy" in admin.words
    await admin.send(path, state="open", note="")


async def test_thresholds_are_typed_and_what_is_wrong_is_said(admin: Browser, alert: Alert) -> None:
    assert alert
    await admin.get("/console/alerts")
    names = ("days", "diverted_items", "diverted_share_bp", "diverted_least", "refused_tries", "refused_minutes")
    fields = dict.fromkeys((*names, "false_devices"), "7")
    await admin.send("/console/alerts/settings", **fields)
    assert "Saved." in admin.words
    for wrong in ("0", "many", ""):
        answer = await admin.send("/console/alerts/settings", **fields | {"diverted_items": wrong})
        assert answer.status_code == 422
        assert "Type a whole number within the limits" in admin.words
