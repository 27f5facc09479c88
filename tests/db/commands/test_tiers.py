from __future__ import annotations

import json
from pathlib import Path

from tests.db.commands.conftest import Tallystar

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "tier-policy.json"


def test_a_policy_goes_from_a_file_into_force(tallystar: Tallystar) -> None:
    before = len(tallystar.json("tiers", "list")["versions"])
    made = tallystar.json("tiers", "draft", str(EXAMPLE), "--title", "Spring")
    number = str(made["version"])
    assert (made["state"], made["title"], made["revision"]) == ("draft", "Spring", 1)
    assert made["created_by"].startswith("cli")

    tried = tallystar.json("tiers", "simulate", number)
    assert (tried["version"], tried["result"]["up"], tried["result"]["down"]) == (made["version"], 0, 0)
    assert "0 members: 0 go up, 0 go down." in tallystar("tiers", "simulate", number).stdout

    assert tallystar.json("tiers", "publish", number, "--from", "2099-03-01")["state"] == "scheduled"
    assert f"Version {number} is a draft again." in tallystar("tiers", "withdraw", number).stdout
    assert "published, in force from" in tallystar("tiers", "publish", number).stdout
    assert "Spring" in tallystar("tiers", "list").stdout
    assert len(tallystar.json("tiers", "list")["versions"]) == before + 1

    assert tallystar.json("tiers", "review")["ladders"][0]["ladder_code"] == "main"
    assert tallystar("tiers", "review").stdout == "Nobody is due.\n"


def test_what_is_shown_is_the_file_that_is_drafted(tallystar: Tallystar) -> None:
    number = str(tallystar.json("tiers", "draft", str(EXAMPLE))["version"])
    shown = tallystar("tiers", "show", number).stdout
    shorter = json.loads(shown) | {"grace_days": 7}

    changed = tallystar.json("tiers", "draft", tallystar.file("p.json", json.dumps(shorter)), "--version", number)

    assert (changed["version"], changed["revision"], changed["policy"]["grace_days"]) == (int(number), 2, 7)
    assert f"Version {number} is retired." in tallystar("tiers", "retire", number).stdout


def test_a_file_at_fault_is_refused_by_the_field(tallystar: Tallystar) -> None:
    policy = json.loads(EXAMPLE.read_text())
    policy["tiers"][1]["qualify"]["at_least"] = 0
    refused = tallystar("tiers", "draft", tallystar.file("p.json", json.dumps(policy)), code=1)
    assert "policy.tiers[1].qualify.at-least: is 1 to" in refused.stderr
    assert "file: is no JSON" in tallystar("tiers", "draft", tallystar.file("q.json", "{"), code=1).stderr
    assert "version: ladder 'main' has no version 99" in tallystar("tiers", "show", "99", code=1).stderr
