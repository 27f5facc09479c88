"""A process that works on an issue, to be killed: `python -m tests.db.redemption.issue_process URL ISSUE`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Uuid, column, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from loyalty.kit.db import create_engine
from redemption.benefits.bulk import Issue, work_on_issue

people = table("test_person", column("member_id", Uuid))


async def find_audience(_connection: AsyncConnection, _issue: Issue) -> Select[Any]:
    return select(people.c.member_id).order_by(people.c.member_id)


async def main(url: str, issue_id: str) -> None:
    engine = create_engine(url)
    await work_on_issue(
        engine,
        UUID(issue_id),
        find_audience=find_audience,
        chunk=200,
        progress=lambda issue: print(issue.done, flush=True),
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
