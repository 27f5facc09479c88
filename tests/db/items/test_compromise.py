"""A leaked key: what was handed out before still counts, what was not is refused at the next scan."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from loyalty.items.checking import check_serials
from loyalty.items.compromise import Compromise, compromise_key
from loyalty.items.exports import create_export, record_labels
from loyalty.items.handing_out import Stream, begin_download, end_download
from loyalty.items.importing import import_serials
from loyalty.items.key_records import KeyCompromisedError, read_key_records
from loyalty.items.keys import MasterKeys
from loyalty.items.lots import set_lot_state
from loyalty.items.ranges import CodeRange, change_range_state
from loyalty.kit.clock import utc_now
from loyalty.kit.errors import InvalidInputError, NotFoundError, UnavailableError
from tests.db.items.conftest import GTIN, Brand


async def hand_out(brand: Brand, minted: CodeRange) -> None:
    made = await create_export(
        brand.connection, programme_id=brand.programme.id, range_id=minted.id, base_url="https://t.example", honey=2
    )
    where: dict[str, Any] = {"programme_id": brand.programme.id, "export_id": made.id, "actor": "zhao"}
    download = await begin_download(brand.connection, brand.keys, **where)
    stream = Stream(brand.keys, made)
    for _ in stream:
        pass
    await end_download(brand.connection, download, stream)


async def activate(brand: Brand, minted: CodeRange) -> None:
    await change_range_state(brand.connection, programme_id=brand.programme.id, range_id=minted.id, state="activated")


async def leak(brand: Brand, *, at: datetime | None = None, keep_lists: bool = False, kid: int = 1) -> Compromise:
    return await compromise_key(
        brand.connection,
        brand.keys,
        programme_id=brand.programme.id,
        kid=kid,
        at=at or utc_now() + timedelta(seconds=1),
        note="laptop stolen",
        keep_lists=keep_lists,
    )


@pytest.fixture
def rotated(brand: Brand, tmp_path: Path) -> Brand:
    """The brand with a second key, and a folder for lists beside the keys."""
    brand.keys = MasterKeys(brand.keys.with_new_key().masters, manifests=tmp_path / "manifests")
    return brand


@pytest.mark.parametrize("keep_lists", [False, True])
async def test_codes_handed_out_before_count_and_all_others_of_the_key_do_not(rotated: Brand, keep_lists: bool) -> None:
    printed, other = await rotated.mint(50, kid=1), await rotated.mint(50, kid=1)
    await hand_out(rotated, printed)
    for minted in (printed, other):
        await activate(rotated, minted)
    found = await leak(rotated, keep_lists=keep_lists)
    assert (found.exports, found.codes, found.lists) == (1, 50, int(keep_lists))
    assert [(each.lo, each.hi) for each in found.uncovered] == [(other.lo, other.hi)]
    assert (await rotated.scan(printed.lo + 3)).kind == "first_scan"
    refused = await rotated.scan(other.lo + 3)
    assert (refused.kind, refused.reason) == ("unknown", "not_handed_out")
    checks = await check_serials(
        rotated.connection,
        rotated.keys,
        programme_id=rotated.programme.id,
        gtin=GTIN,
        serials=[rotated.serial(index) for index in (printed.lo, printed.hi, other.lo)],
    )
    assert [check.genuine for check in checks] == [True, True, False]


async def test_what_was_handed_out_after_the_leak_does_not_count(rotated: Brand) -> None:
    printed = await rotated.mint(10, kid=1)
    await hand_out(rotated, printed)
    await activate(rotated, printed)
    found = await leak(rotated, at=utc_now() - timedelta(hours=1))
    assert (found.exports, found.codes) == (0, 0)
    assert (await rotated.scan(printed.lo)).reason == "not_handed_out"


async def test_a_list_of_codes_has_to_hold_the_code_whatever_the_database_says(rotated: Brand) -> None:
    printed = await rotated.mint(10, kid=1)
    await hand_out(rotated, printed)
    more = await rotated.mint(10, kid=1)
    for minted in (printed, more):
        await activate(rotated, minted)
    await leak(rotated, keep_lists=True)
    # Somebody with the key and the database says that the export held more than it did.
    await rotated.connection.execute(text("UPDATE code_export SET hi = :hi"), {"hi": more.hi})
    assert (await rotated.scan(printed.hi)).kind == "first_scan"
    assert (await rotated.scan(more.lo)).reason == "not_handed_out"


async def test_a_list_that_is_gone_is_said_and_not_passed_over(rotated: Brand) -> None:
    printed = await rotated.mint(10, kid=1)
    await hand_out(rotated, printed)
    await activate(rotated, printed)
    await leak(rotated, keep_lists=True)
    folder = rotated.keys.manifests.folder
    assert folder is not None
    for path in folder.iterdir():
        path.unlink()
    rotated.keys = MasterKeys(rotated.keys.masters, manifests=folder)
    with pytest.raises(UnavailableError, match="cannot be read"):
        await rotated.scan(printed.lo)


async def test_nothing_is_made_under_a_leaked_key_and_other_keys_go_on(rotated: Brand) -> None:
    first = await rotated.mint(10, kid=1)
    await leak(rotated)
    with pytest.raises(KeyCompromisedError):
        await rotated.mint(10, kid=1)
    with pytest.raises(KeyCompromisedError):
        await hand_out(rotated, first)
    with pytest.raises(KeyCompromisedError):
        await record_labels(rotated.connection, first, lo=0, hi=1, base_url="https://t.example", actor=None)
    second = await rotated.mint(10)
    await activate(rotated, second)
    assert second.kid == 2
    assert (await rotated.scan(serial=rotated.serial(second.lo, kid=2))).kind == "first_scan"


async def test_labels_count_as_handed_out(rotated: Brand) -> None:
    minted = await rotated.mint(10, kid=1)
    await record_labels(rotated.connection, minted, lo=minted.lo, hi=minted.lo + 4, base_url="https://t.ex", actor="z")
    await activate(rotated, minted)
    found = await leak(rotated)
    assert [(each.lo, each.hi) for each in found.uncovered] == [(5, 9)]
    assert (await rotated.scan(4)).kind == "first_scan"
    assert (await rotated.scan(5)).reason == "not_handed_out"


async def test_said_twice_the_earlier_moment_stays(rotated: Brand) -> None:
    early, late = utc_now() - timedelta(days=2), utc_now()
    for at in (late, early, late):
        await leak(rotated, at=at)
    records = await read_key_records(rotated.connection, programme_id=rotated.programme.id)
    assert (records[1].compromised_at, records[1].note) == (early, "laptop stolen")


async def test_the_newest_key_and_one_that_is_none_cannot_be_given_up(rotated: Brand) -> None:
    with pytest.raises(InvalidInputError, match="rotate first"):
        await leak(rotated, kid=2)
    for kid in (0, 9):
        with pytest.raises(NotFoundError):
            await leak(rotated, kid=kid)


async def test_many_serials_are_checked_in_one_go(rotated: Brand) -> None:
    minted = await rotated.mint(40, kid=1, lot="L1", state="shipped")
    await rotated.mint(10, kid=1)
    imported = await import_serials(
        rotated.connection,
        rotated.keys,
        programme_id=rotated.programme.id,
        gtin=GTIN,
        lines=["serial\n", "OLD-1\n"],
        print_order="old",
        lot="L1",
    )
    await hand_out(rotated, minted)
    forged = rotated.serial(1)[:-1] + ("7" if rotated.serial(1)[-1] != "7" else "8")
    serials = [
        rotated.serial(3),
        rotated.serial(45),
        rotated.serial(50),
        "OLD-1",
        "OLD-2",
        forged,
        "",
        rotated.serial(999),
    ]

    async def states() -> list[Any]:
        checks = await check_serials(
            rotated.connection, rotated.keys, programme_id=rotated.programme.id, gtin=GTIN, serials=serials
        )
        assert [check.serial for check in checks] == serials
        assert [check.lot for check in checks[:2]] == ["L1", None]
        return [check.state for check in checks]

    assert imported.kid == 0
    assert await states() == ["shipped", "issued", "honey", "issued", None, None, None, None]
    await set_lot_state(rotated.connection, programme_id=rotated.programme.id, gtin=GTIN, code="L1", state="recalled")
    assert await states() == ["recalled", "issued", "honey", "recalled", None, None, None, None]
