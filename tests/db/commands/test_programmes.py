from __future__ import annotations

import pytest

from tests.db.commands.conftest import Tallystar


def test_a_programme_and_its_channels(empty: Tallystar) -> None:
    made = empty.json("init", "--programme", "brand", "--name", "Brand", "--currency", "GBP")
    assert made["id"].startswith("prg_")
    added = empty.json("channel", "add", "store", "--name", "Store", "--kind", "store", "--currency", "JPY")
    assert (added["code"], added["currency"], added["earn_policy_version"]) == ("store", "JPY", 2)
    same = empty.json("channel", "add", "online", "--name", "Shop", "--kind", "online")
    assert (same["currency"], same["earn_policy_version"]) == ("GBP", None)
    listed = empty.json("channel", "list")["channels"]
    assert [channel["code"] for channel in listed] == ["store", "online"]
    assert "store\tstore\tJPY" in empty("channel", "list").stdout


@pytest.mark.parametrize(("currency", "amount"), [("GBP", "12.99"), ("JPY", "12"), ("KWD", "12.999")])
def test_every_channels_currency_earns_a_point_a_whole_unit(empty: Tallystar, currency: str, amount: str) -> None:
    empty("init", "--programme", "brand", "--name", "Brand", "--currency", "USD")
    empty("channel", "add", "shop", "--name", "Shop", "--kind", "online", "--currency", currency)
    orders = empty.file("o.csv", "order,time,customer,amount", f"1,2010-01-01,9,{amount}")
    assert empty.json("import", "orders", orders, "--channel", "shop")["earned"] == {"points": 12}


def test_points_of_old_orders_expire_only_where_the_programme_says_so(empty: Tallystar) -> None:
    empty("init", "--programme", "brand", "--name", "Brand", "--points-expire-months", "12")
    empty("channel", "add", "shop", "--name", "Shop", "--kind", "online")
    orders = empty.file("o.csv", "order,time,customer,amount", "1,2010-01-01,9,10")
    empty("import", "orders", orders, "--channel", "shop")
    empty("ledger", "sweep")
    assert empty.query("SELECT posted FROM ledger.account WHERE unit = 'points'") == 0
    assert empty.query("SELECT count(*) FROM ledger.entry WHERE kind = 'expire'") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "--programme", "Brand!", "--name", "B"], "code: 'Brand!' is not a code"),
        (["init", "--programme", "b", "--name", " "], "name: a name is needed"),
        (["init", "--programme", "b", "--name", "B", "--currency", "pounds"], "currency: 'pounds' is not an ISO 4217"),
        (["init", "--programme", "b", "--name", "B", "--time-zone", "Mars"], "time-zone: 'Mars' is not an IANA"),
        (["channel", "add", "x", "--name", "X", "--kind", "online"], "programme: there is none yet"),
        (["channel", "list", "--programme", "other"], "programme: there is no programme other"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(empty: Tallystar, words: list[str], said: str) -> None:
    result = empty(*words, code=1)
    assert result.stderr.startswith(f"Error: {said}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert empty.query("SELECT count(*) FROM programme") == 0


def test_a_refusal_is_json_where_that_is_asked_for(empty: Tallystar) -> None:
    answer = empty.json("channel", "list", code=1)
    assert answer["error"]["type"] == "not-found"
    assert answer["error"]["field"] == "programme"


def test_of_several_programmes_one_has_to_be_named(tallystar: Tallystar, monkeypatch: pytest.MonkeyPatch) -> None:
    tallystar("init", "--programme", "other", "--name", "Other")
    assert "there are several (brand, other)" in tallystar("channel", "list", code=1).stderr
    assert "online" in tallystar("channel", "list", "--programme", "brand").stdout
    monkeypatch.setenv("TALLYSTAR_PROGRAMME", "brand")
    assert "online" in tallystar("channel", "list").stdout


def test_a_database_that_is_not_there(empty: Tallystar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost:1/none")
    result = empty("channel", "list", code=1)
    assert result.stderr.startswith("Error: DATABASE-URL: the database cannot be reached")
