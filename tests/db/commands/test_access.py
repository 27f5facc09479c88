from __future__ import annotations

from tests.db.commands.conftest import Tallystar


def test_a_key_is_shown_once(tallystar: Tallystar) -> None:
    made = tallystar("api-key", "create", "--channel", "online", "--name", "till", "--scope", "points:write")
    assert made.stdout.startswith("tsk_")
    (key,) = tallystar.json("api-key", "list")["keys"]
    assert (key["name"], key["scopes"], key["revoked"]) == ("till", ["points:write"], False)
    assert "token" not in key
    assert tallystar("api-key", "revoke", key["id"]).stdout == "Revoked till.\n"
    assert "revoked" in tallystar("api-key", "list").stdout


def test_a_scope_that_is_not_there_is_wrong_usage(tallystar: Tallystar) -> None:
    assert "points:read" in tallystar("api-key", "create", "--name", "x", "--scope", "everything", code=2).stderr


def test_staff_sign_in_with_the_password_that_was_asked_for(tallystar: Tallystar) -> None:
    words = ["staff", "add", "ann", "--name", "Ann", "--role", "clerk"]
    assert "channel: a clerk works in a channel" in tallystar(*words, stdin="long enough 1\n" * 2, code=1).stderr
    added = tallystar(*words, "--channel", "online", stdin="long enough 1\nlong enough 1\n")
    assert "ann can sign in as clerk." in added.stdout
    assert "long enough" not in added.output
    (person,) = tallystar.json("staff", "list")["staff"]
    assert (person["username"], person["role"], person["active"]) == ("ann", "clerk", True)


def test_a_short_password_is_refused(tallystar: Tallystar) -> None:
    words = ["staff", "add", "bob", "--name", "Bob", "--role", "crm", "--password", "short"]
    assert "password: a password has 10 to 200 characters" in tallystar(*words, code=1).stderr
