"""Staff and sessions: passwords are tried a limited number of times, and one row signs somebody out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncEngine

from loyalty.kit.db import transaction
from loyalty.kit.errors import AuthenticationError, ConflictError, InvalidInputError, TooManyAttemptsError
from loyalty.kit.programme import Channel, Programme
from loyalty.web.security import staff
from loyalty.web.security.sessions import close_session, open_session, read_session
from loyalty.web.security.staff import (
    USERNAME_LIMIT,
    Staff,
    authenticate_staff,
    create_staff,
    list_staff,
    set_active,
    set_password,
)
from loyalty.web.security.tables import session_table, staff_table
from loyalty.web.security.throttle import Limit, count_attempt, throttle_subject

SECRET = b"s" * 32
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing is slow on purpose; how slow is not what is tested here."""
    monkeypatch.setattr(staff, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def clerk(engine: AsyncEngine, brand: Programme, brand_store: Channel) -> Staff:
    async with transaction(engine) as connection:
        return await create_staff(
            connection,
            programme_id=brand.id,
            username="Li.Na",
            name="李娜",
            role="clerk",
            password=PASSWORD,
            channel_id=brand_store.id,
        )


async def _sign_in(engine: AsyncEngine, person: Staff, password: str = PASSWORD, address: str = "10.0.0.1") -> Staff:
    return await authenticate_staff(
        engine,
        secret=SECRET,
        programme_id=person.programme_id,
        username=" li.na ",
        password=password,
        address=address,
    )


async def test_the_right_password_signs_in_and_the_wrong_one_says_nothing(engine: AsyncEngine, clerk: Staff) -> None:
    assert await _sign_in(engine, clerk) == clerk
    refusals = []
    for username, password in (("li.na", "another password"), ("nobody", PASSWORD), ("li\0na", PASSWORD)):
        with pytest.raises(AuthenticationError) as refused:
            await authenticate_staff(
                engine,
                secret=SECRET,
                programme_id=clerk.programme_id,
                username=username,
                password=password,
                address="10.0.0.2",
            )
        refusals.append(refused.value.detail)
    assert len(set(refusals)) == 1


async def test_a_password_is_not_in_the_database(engine: AsyncEngine, clerk: Staff) -> None:
    async with transaction(engine) as connection:
        row = (await connection.execute(staff_table.select().where(staff_table.c.id == clerk.id))).one()
    assert row.password_hash.startswith("$argon2id$")
    assert PASSWORD not in str(row)


async def test_guessing_ends_even_with_the_right_password(engine: AsyncEngine, clerk: Staff) -> None:
    for number in range(USERNAME_LIMIT.attempts):
        with pytest.raises(AuthenticationError):
            await _sign_in(engine, clerk, "a wrong password", address=f"10.0.1.{number}")
    with pytest.raises(TooManyAttemptsError) as refused:
        await _sign_in(engine, clerk)
    assert 0 < refused.value.members["retry_after_seconds"] <= USERNAME_LIMIT.window.total_seconds()


async def test_a_sign_in_forgets_earlier_mistakes(engine: AsyncEngine, clerk: Staff) -> None:
    for _ in range(2):
        for _ in range(USERNAME_LIMIT.attempts - 1):
            with pytest.raises(AuthenticationError):
                await _sign_in(engine, clerk, "a wrong password")
        await _sign_in(engine, clerk)


async def test_an_address_is_not_shut_out_by_sign_ins_that_succeed(
    engine: AsyncEngine, clerk: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staff, "ADDRESS_LIMIT", Limit(2, timedelta(minutes=15)))
    for _ in range(4):
        await _sign_in(engine, clerk, address="203.0.113.77")
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            await _sign_in(engine, clerk, "a wrong password", address="203.0.113.77")
    with pytest.raises(TooManyAttemptsError):
        await _sign_in(engine, clerk, address="203.0.113.77")


async def test_attempts_are_forgotten_when_their_window_ends(engine: AsyncEngine) -> None:
    subject, limit = throttle_subject(SECRET, "test", "window"), Limit(1, timedelta(milliseconds=1))
    for _ in range(3):
        await count_attempt(engine, subject, limit)
        await asyncio.sleep(5 * limit.window.total_seconds())  # a fast machine counts twice in a millisecond


async def test_who_left_is_shut_out_everywhere_at_once(engine: AsyncEngine, clerk: Staff) -> None:
    async with transaction(engine) as connection:
        token = await open_session(connection, kind="staff", programme_id=clerk.programme_id, subject_id=clerk.id)
        assert await read_session(connection, token, kind="staff") is not None
        await set_active(connection, clerk.id, active=False)
        assert await read_session(connection, token, kind="staff") is None
    with pytest.raises(AuthenticationError):
        await _sign_in(engine, clerk)


async def test_a_new_password_ends_the_sessions_of_the_old_one(engine: AsyncEngine, clerk: Staff) -> None:
    async with transaction(engine) as connection:
        token = await open_session(connection, kind="staff", programme_id=clerk.programme_id, subject_id=clerk.id)
        await set_password(connection, clerk.id, "another good password")
        assert await read_session(connection, token, kind="staff") is None
    assert await _sign_in(engine, clerk, "another good password") == clerk


async def test_a_session_ends_when_it_is_over_closed_or_of_another_kind(engine: AsyncEngine, clerk: Staff) -> None:
    async with transaction(engine) as connection:
        tokens = [
            await open_session(connection, kind="staff", programme_id=clerk.programme_id, subject_id=clerk.id)
            for _ in range(2)
        ]
        assert await read_session(connection, tokens[0], kind="member") is None
        assert await read_session(connection, None, kind="staff") is None
        await close_session(connection, tokens[0])
        assert await read_session(connection, tokens[0], kind="staff") is None
        assert await read_session(connection, tokens[1], kind="staff") is not None
        over = update(session_table).where(session_table.c.subject_id == clerk.id).values(expires_at=func.now())
        await connection.execute(over)
        assert await read_session(connection, tokens[1], kind="staff") is None


async def test_a_session_token_is_not_in_the_database(engine: AsyncEngine, clerk: Staff) -> None:
    async with transaction(engine) as connection:
        token = await open_session(connection, kind="staff", programme_id=clerk.programme_id, subject_id=clerk.id)
        rows = (await connection.execute(session_table.select())).all()
    assert all(token.encode() not in bytes(row.token_hash) for row in rows)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"username": "a b"}, "username"),
        ({"name": " "}, "name"),
        ({"password": "short"}, "password"),
        ({"role": "clerk"}, "channel"),
    ],
    ids=str,
)
async def test_who_cannot_be_staff_is_refused_by_the_field(
    engine: AsyncEngine, brand: Programme, changed: dict[str, Any], field: str
) -> None:
    person: dict[str, Any] = {"username": "wang.wei", "name": "王伟", "role": "admin", "password": PASSWORD}
    async with transaction(engine) as connection:
        with pytest.raises(InvalidInputError) as refused:
            await create_staff(connection, programme_id=brand.id, **(person | changed))
        assert refused.value.field == field
        made = await create_staff(connection, programme_id=brand.id, **person)
        with pytest.raises(ConflictError):
            await create_staff(connection, programme_id=brand.id, **person)
        assert await list_staff(connection, programme_id=brand.id) == [made]
        assert made.may("clerk")
        assert made.may("admin")
