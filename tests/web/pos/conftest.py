"""The till of a store, and a clerk at it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.web.house import House, open_house
from tests.web.member.conftest import Browser


@pytest.fixture(scope="session")
async def house(engine: AsyncEngine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(engine, tmp_path_factory.mktemp("house")) as opened:
        yield opened


@pytest.fixture
async def clerk(house: House) -> AsyncIterator[Browser]:
    """Li Na, signed in at the till of Huaihai Road."""
    async with house.at_work("li.na") as browser:
        yield browser
