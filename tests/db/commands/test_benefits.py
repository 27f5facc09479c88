"""Giving benefits from the command line: to a list, to a tier that is empty, from stock that ends, with codes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from loyalty.kit.db import create_engine, transaction
from redemption.benefits import stock
from redemption.benefits.definition import DaysFromIssue, Definition, MoneyOff
from redemption.benefits.templates import publish_definition
from tests.db.commands.conftest import Tallystar


@pytest.fixture
def shop(tallystar: Tallystar) -> Tallystar:
    """Three members of the channel `online`, and a voucher."""
    people = [f"c{number},+8619900007{number:03d}" for number in range(3)]
    file = tallystar.file("members.csv", "customer,phone", *people)
    tallystar("import", "members", file, "--channel", "online")

    async def publish() -> None:
        engine = create_engine(tallystar.url)
        async with transaction(engine) as connection:
            definition = Definition(
                name={"zh": "券", "en": "Five off"},
                gives=MoneyOff(amount_minor=500, currency="CNY"),
                validity=DaysFromIssue(days=7),
            )
            programme = tallystar.query("SELECT id FROM programme")
            given: dict[str, Any] = {"programme_id": programme, "code": "five", "actor": "test"}
            await publish_definition(connection, definition=definition, **given)
            await stock.set_stock(connection, kind="counted", total=2, **given)
        await engine.dispose()

    asyncio.run(publish())
    return tallystar


def test_a_list_is_given_its_benefits_until_stock_ends_and_goes_on(shop: Tallystar) -> None:
    shop("benefits", "issue", "five", code=2)
    file = shop.file("list.csv", "phone", "+86 199 0000 7000", "c1", "nobody", "c2")
    refused = shop("benefits", "issue", "five", "--list", file, code=1)
    assert "line 4: unknown" in refused.stderr
    assert shop.query("SELECT count(*) FROM benefit_issue") == 0

    short = shop.json("benefits", "issue", "five", "--list", file, "--skip-unknown", "--name", "May", code=1)
    assert (short["state"], short["reason"], short["issued"], short["total"]) == ("stopped", "stock", 2, 3)
    assert shop.json("benefits", "list")["benefits"][0]["left"] == {"stock": 0}
    shop.change("UPDATE benefit_template SET stock = 'unlimited'")
    done = shop("benefits", "resume", short["id"])
    assert done.stdout == f"{short['id']}\tdone\t3 of 3 given\n"
    assert shop.query("SELECT count(DISTINCT member_id) FROM benefit") == 3
    again = shop.json("benefits", "resume", short["id"])
    assert again["issued"] == 3
    assert "May" in shop("benefits", "issues", "five").stdout

    nobody = shop.json("benefits", "issue", "five", "--tier", "gold")
    assert (nobody["state"], nobody["total"]) == ("done", 0)
    left = shop.json("benefits", "issue", "five", "--everybody", "--background")
    assert left["state"] == "gathering"
    assert shop.json("benefits", "resume", left["id"])["issued"] == 3


def test_codes_are_imported_once(shop: Tallystar) -> None:
    shop.change("DELETE FROM quota_part; UPDATE benefit_template SET stock = 'unlimited'")
    file = shop.file("codes.txt", "A-1", "A-2", "A-1", "")
    told = shop.json("benefits", "import-codes", "five", file)
    assert (told["added"], told["refused"], told["examples"]) == (2, 1, [{"line": 3, "reason": "duplicate"}])
    assert (
        shop("benefits", "import-codes", "five", "-", stdin="A-2\nA-3\n").stdout == "1 codes added, 1 lines refused.\n"
    )
    shop("benefits", "import-codes", "nothing", file, code=1)
