"""Whatever the ledger posts, the console has words for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import posting, transfers
from ledger.reading import Entry, history
from ledger.units import Unit, define_unit
from loyalty.kit.clock import utc_now
from loyalty.kit.ids import new_id
from loyalty.kit.programme import Programme
from loyalty.web.console.entries import ACCOUNTS, Told, occasion, tell
from loyalty.web.i18n import LANGUAGES, Language, Translator


async def everything(connection: AsyncConnection, programme: Programme) -> list[Entry]:
    """Two accounts on which every kind of posting was made at least once."""
    await define_unit(connection, Unit(programme_id=programme.id))
    one, other, now = new_id(), new_id(), utc_now()
    keys = iter(range(100))

    def named(**more: Any) -> dict[str, Any]:
        return {"member_id": one, "key": f"k{next(keys)}", "source": "order:online/1", **more}

    own: dict[str, Any] = {"programme_id": programme.id}
    soon = now + timedelta(days=3)
    earned = await posting.earn(connection, **own, **named(amount=100))
    await posting.earn(connection, **own, **named(amount=50, available_at=soon))
    waiting = await posting.earn(connection, **own, **named(amount=30, available_at="on_event"))
    await posting.confirm(connection, **named(sequence=waiting.sequence))
    spent = await posting.spend(connection, **own, **named(amount=40))
    await posting.reverse(connection, **named(sequence=spent.sequence, amount=10))
    hold_id = new_id()
    await posting.hold(connection, **own, **named(unit="points", amount=20, hold_id=hold_id, expires_at=soon))
    await posting.capture(connection, **named(hold_id=hold_id, amount=5))
    await posting.release(connection, **named(hold_id=hold_id))
    await posting.adjust(connection, **own, **named(amount=7, reason="r", actor="a"))
    await posting.adjust(connection, **own, **named(amount=-3, reason="r", actor="a"))
    await posting.reverse(connection, **named(sequence=earned.sequence))
    await posting.claw_back(connection, **own, **named(amount=200))
    await posting.earn(connection, **own, **named(amount=5))  # settles a part of what is owed
    await posting.adjust(connection, **own, **named(amount=2, reason="r", actor="a"))
    late = await posting.earn(connection, **own, **named(amount=1, available_at="on_event"))
    await posting.confirm(connection, **named(sequence=late.sequence))
    await posting.reverse(connection, **named(sequence=spent.sequence, amount=1))
    await transfers.move_all(connection, **own, from_member_id=one, to_member_id=other, key="m", source="merge:mrg_1")
    return await history(connection, member_ids=[one, other], limit=200)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_posting_has_a_meaning_and_every_account_a_name(
    connection: AsyncConnection, programme: Programme, language: Language
) -> None:
    t = Translator(language)
    entries = await everything(connection, programme)

    told = tell(entries, t, channels={"online": "Online shop"})

    assert {entry.kind for entry in entries} >= {
        *("earn", "mature", "spend", "reverse", "hold", "capture", "release", "adjust", "claw_back", "transfer")
    }
    assert [_shape(each) for each in told if each.what == t("console.entry.moved")] == []
    assert {entry.debit for entry in entries} | {entry.credit for entry in entries} <= set(ACCOUNTS)


def _shape(told: Told) -> tuple[str, str, str]:
    return told.entry.kind, told.entry.debit, told.entry.credit


@pytest.mark.parametrize(
    ("source", "cause", "where"),
    [
        ("order:online/536381", "Order", "Online shop, no. 536381"),
        ("refund:online/C536381", "Refund", "Online shop, no. C536381"),
        ("claim:06901234567892:1:7", "Item claimed", ""),
        ("time", "Time", ""),
        ("birthday:2026", "birthday:2026", ""),
    ],
)
def test_a_source_is_told_in_words_where_we_know_it(source: str, cause: str, where: str) -> None:
    told = occasion(source, Translator("en"), channels={"online": "Online shop"})

    assert (told.cause, told.where) == (cause, where)
