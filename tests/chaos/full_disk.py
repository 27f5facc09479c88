"""What happens on an installation whose disk is full. Run by `test_full_disk` on a disk that may be filled.

Run as `python -m tests.chaos.full_disk HOME`; it says what it did, and fails where anything was not as it should be.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import psycopg

from tests.chaos.installation import Installation, installed, wait_until
from tests.chaos.small_disk import fill

MOST_POSTS: Final = 3000
REFUSED_POSTS: Final = 10


class Till:
    """One client that posts to one member, and remembers what it was answered."""

    def __init__(self, installation: Installation) -> None:
        self._http = httpx.Client(base_url=f"{installation.url}/v1", headers=installation.headers, timeout=60)
        self.member = self._post("/members", REGISTRATION, uuid4().hex).json()["member"]["id"]
        self.answered: dict[str, bytes] = {}
        self.open: list[str] = []

    def _post(self, path: str, body: dict[str, Any], key: str) -> httpx.Response:
        return self._http.post(path, json=body, headers={"Idempotency-Key": key})

    def earn(self, key: str | None = None) -> dict[str, Any]:
        """One point; answers the problem, or nothing where it was posted."""
        key = key or uuid4().hex
        answered = self._post(f"/members/{self.member}/points/earn", {"amount": 1, "source": "chaos"}, key)
        if answered.status_code == HTTPStatus.CREATED:
            self.answered[key] = answered.content
            return {}
        assert answered.headers["content-type"] == "application/problem+json", answered.text
        assert answered.status_code == HTTPStatus.SERVICE_UNAVAILABLE, answered.text
        assert answered.headers["retry-after"]
        self.open.append(key)
        problem: dict[str, Any] = answered.json()
        return problem

    def until_refused(self) -> dict[str, Any]:
        """Post until there is no room; answers the problem."""
        for _ in range(MOST_POSTS):
            if problem := self.earn():
                return problem
        raise AssertionError("the disk does not fill up")

    def repeat_what_was_refused(self) -> int:
        """Send every request again that was refused, with its key."""
        waiting, self.open = self.open, []
        for key in waiting:
            assert self.earn(key) == {}
        return len(waiting)

    def check(self) -> None:
        """Each answered request counts once, and gets its first answer again."""
        balances = self._http.get(f"/members/{self.member}/points").json()["data"]
        assert {each["unit"]: each["spendable"] for each in balances}["points"] == len(self.answered)
        for key in list(self.answered)[-50:]:
            again = self._post(f"/members/{self.member}/points/earn", {"amount": 1, "source": "chaos"}, key)
            assert again.content == self.answered[key]


REGISTRATION: Final = {"channel": "online", "identities": [{"kind": "phone", "value": "+8619900003000"}]}


def no_room_for_rows(installation: Installation, till: Till) -> None:
    """Tables cannot grow: statements are refused, and the server goes on."""
    ballast = fill(installation.home)
    problem = till.until_refused()
    assert "disk is full" in problem["detail"], problem
    for _ in range(REFUSED_POSTS):
        till.earn()
    ballast.unlink()
    repeated = till.repeat_what_was_refused()
    till.check()
    print(f"no room for rows: {len(till.answered)} posted, {repeated} of them when there was room again")


def no_room_for_the_log(installation: Installation, till: Till) -> None:
    """The write-ahead log cannot grow: the server gives up at once, and comes back when there is room."""
    ballast = fill(installation.home)
    with psycopg.connect(installation.database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_switch_wal()")  # the next record needs a new file
    problem = till.until_refused()
    assert "repeat" in problem["detail"], problem
    for _ in range(REFUSED_POSTS):
        till.earn()
    ballast.unlink()
    wait_until(installation.answers, "the database is back")
    repeated = till.repeat_what_was_refused()
    till.check()
    print(f"no room for the log: {len(till.answered)} posted, {repeated} of them when there was room again")


def main(home: Path) -> None:
    with installed(home) as installation:
        installation.start()
        till = Till(installation)
        till.earn()
        no_room_for_rows(installation, till)
        no_room_for_the_log(installation, till)
        print(installation.verify())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
