"""As the role that the application runs as: it reads the ledger and posts to it, and nothing that is posted changes.

Every statement is tried with the application's own login, and every table, function and schema is read from the
catalogue, so that one which a later migration adds is tried without being named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from tests.roles import APPLICATION, application_login

PROGRAMME, MEMBER = uuid4(), uuid4()
Session = psycopg.Connection[Any]

DOORS = {
    "add_seal",
    "adjust",
    "claw_back",
    "clock",
    "close_books",
    "confirm",
    "define_unit",
    "drop_unused_accounts",
    "earn",
    "end_hold",
    "hold_accounts",
    "hold_points",
    "move_all",
    "move_back",
    "posting_horizon",
    "post_batch",
    "post_items",
    "reinstate",
    "reverse",
    "roll_up_anew",
    "seq_at",
    "settle_account",
    "settle_due",
    "spend",
    "transfer",
}
"""The functions of the ledger that the application is meant to call. Adding one here is a decision."""


@pytest.fixture(scope="module")
def owner(module_database_url: str) -> Iterator[Session]:
    with psycopg.connect(module_database_url, autocommit=True, row_factory=scalar_row) as connection:
        yield connection


@pytest.fixture(scope="module")
def application(module_database_url: str) -> Iterator[Session]:
    """The application, which has posted something of every kind that leaves a row."""
    with psycopg.connect(application_login(module_database_url), autocommit=True, row_factory=scalar_row) as connection:
        unit = {
            "programme_id": str(PROGRAMME),
            "code": "points",
            "spendable": True,
            "time_zone": "UTC",
            "expiry_kind": "never",
            "shortfall": "debt",
            "reinstate_days": 90,
            "adjust_limit": 1000,
        }
        connection.execute("SELECT ledger.define_unit(%s)", [Jsonb(unit)])
        words = [PROGRAMME, MEMBER]
        connection.execute("SELECT ledger.earn(%s, %s, 'points', 100, 'e', '\\x01', 'test')", words)
        expiry = "now() + interval '1 hour'"
        hold = f"SELECT ledger.hold_points(%s, %s, 'points', 10, gen_random_uuid(), {expiry}, 'h', '\\x01', 'test')"
        connection.execute(hold.encode(), words)
        connection.execute("SELECT ledger.spend(%s, %s, 'points', 30, 's', '\\x01', 'test')", words)
        yield connection


def refused(session: Session, statement: str) -> bool:
    """Whether the server refuses a statement for want of rights, and not for any other reason."""
    with pytest.raises(psycopg.Error) as refusal, session.transaction():
        session.execute(statement.encode())
    return isinstance(refusal.value, errors.InsufficientPrivilege)


def give_oneself(session: Session, right: str) -> None:
    """What is not the session's to give, PostgreSQL answers with a warning, and gives nothing."""
    session.execute(f"GRANT {right} TO CURRENT_USER".encode())


def relations(owner: Session, *kinds: str) -> list[str]:
    found = owner.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'ledger'::regnamespace AND relkind = ANY (%s)",
        [list(kinds)],
    ).fetchall()
    return sorted(found)


def test_there_is_something_to_protect(owner: Session, application: Session) -> None:
    assert {"ledger.entry", "ledger.account", "ledger.hold", "ledger.unit"} <= {*relations(owner, "r")}
    assert application.execute("SELECT count(*) FROM ledger.entry").fetchone() == 3
    assert application.execute("SELECT posted FROM ledger.account").fetchone() == 60
    assert application.execute("SELECT session_user").fetchone() == APPLICATION


def test_no_row_of_any_table_of_the_ledger_can_be_written_or_removed(owner: Session, application: Session) -> None:
    for table in relations(owner, "r", "p"):
        column = owner.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", [table]
        ).fetchone()
        give_oneself(application, f"ALL ON {table}")
        statements = [
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"INSERT INTO {table} SELECT * FROM {table}",
            f"INSERT INTO {table} DEFAULT VALUES",
            f"COPY {table} FROM STDIN",
            f"MERGE INTO {table} USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
            f"SELECT * FROM {table} FOR UPDATE",
            f"LOCK TABLE {table} IN EXCLUSIVE MODE",
        ]
        for statement in statements:
            assert refused(application, statement), statement
        assert application.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() is not None


def test_no_table_of_the_ledger_can_be_altered_dropped_or_its_triggers_disabled(
    owner: Session, application: Session
) -> None:
    triggers = owner.execute(
        "SELECT tgrelid::regclass || '.' || tgname FROM pg_trigger WHERE tgname ~ 'append_only|no_truncate'"
    ).fetchall()
    assert len(triggers) >= 2
    for trigger in triggers:
        table, _, name = trigger.rpartition(".")
        assert refused(application, f"DROP TRIGGER {name} ON {table}")
    for table in relations(owner, "r", "p"):
        name = table.removeprefix("ledger.")
        statements = [
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"ALTER TABLE {table} DISABLE TRIGGER USER",
            f"ALTER TABLE {table} ADD COLUMN mine integer",
            f"ALTER TABLE {table} RENAME TO other",
            f"ALTER TABLE {table} SET SCHEMA public",
            f"ALTER TABLE {table} OWNER TO CURRENT_USER",
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"DROP TABLE {table}",
            f"CREATE INDEX ON {table} ((1))",
            f"CREATE TRIGGER mine BEFORE INSERT ON {table} EXECUTE FUNCTION ledger.refuse_change()",
            f"CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
            f"CREATE TABLE public.{name}_child () INHERITS ({table})",
        ]
        for statement in statements:
            assert refused(application, statement), statement


def test_nothing_can_be_made_that_the_ledgers_functions_could_take_for_something_else(application: Session) -> None:
    """They name no search path; an operator, type or function of the caller's is what could mislead them."""
    schemas = application.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'").fetchall()
    assert {"ledger", "public"} <= {*schemas}
    give_oneself(application, "CREATE ON SCHEMA ledger, public")
    for schema in [*schemas, "pg_temp"]:
        statements = [
            f"CREATE TABLE {schema}.uuid (id integer)",
            f"CREATE DOMAIN {schema}.text AS pg_catalog.text",
            f"CREATE TYPE {schema}.bytea AS (id integer)",
            f"CREATE VIEW {schema}.account AS SELECT 1",
            f"CREATE FUNCTION {schema}.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'",
            f"CREATE OPERATOR {schema}.+ (FUNCTION = int8pl, LEFTARG = bigint, RIGHTARG = bigint)",
        ]
        for statement in statements:
            assert refused(application, statement), statement
    for statement in (
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE uuid (id integer)",
        "CREATE EXTENSION vector",
        "CREATE CAST (text AS bytea) WITHOUT FUNCTION AS IMPLICIT",
    ):
        assert refused(application, statement), statement


def test_names_of_ours_are_not_those_of_what_the_functions_call(owner: Session) -> None:
    """Whoever puts a schema of ours before pg_catalog finds nothing there under a name of pg_catalog's."""
    shadowing = owner.execute("""
        SELECT mine.oid::regprocedure::text FROM pg_proc AS mine
        WHERE mine.pronamespace IN ('public'::regnamespace, 'ledger'::regnamespace)
            AND EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
                        AND proname = mine.proname AND proargtypes = mine.proargtypes)
        UNION ALL
        SELECT mine.oid::regtype::text FROM pg_type AS mine
        WHERE mine.typnamespace IN ('public'::regnamespace, 'ledger'::regnamespace)
            AND EXISTS (SELECT FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname = mine.typname)
        UNION ALL
        SELECT oprname FROM pg_operator WHERE oprnamespace IN ('public'::regnamespace, 'ledger'::regnamespace)
    """).fetchall()
    assert shadowing == []


def test_a_search_path_of_the_callers_changes_nothing(application: Session) -> None:
    with application.transaction(force_rollback=True):
        application.execute("SET LOCAL search_path = ledger, public, pg_catalog")
        words = [PROGRAMME, MEMBER]
        application.execute("SELECT ledger.spend(%s, %s, 'points', 5, 'path', '\\x01', 'test')", words)
        assert application.execute("SELECT posted FROM ledger.account").fetchone() == 55


def test_nobody_else_can_be_become_and_no_fence_switched_off(application: Session, owner: Session) -> None:
    others = "SELECT rolname FROM pg_roles WHERE rolname NOT IN (%s, 'pg_database_owner')"  # which takes no members
    for role in owner.execute(others, [APPLICATION]).fetchall():
        assert refused(application, f'SET ROLE "{role}"'), role
        assert refused(application, f'SET SESSION AUTHORIZATION "{role}"'), role
        assert refused(application, f'GRANT "{role}" TO CURRENT_USER'), role
    application.execute("RESET ROLE")
    application.execute("SET ROLE NONE")
    application.execute("RESET SESSION AUTHORIZATION")
    assert application.execute("SELECT current_user").fetchone() == APPLICATION
    for statement in (
        "SET session_replication_role = replica",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER ROLE CURRENT_USER CREATEDB",
        "ALTER DATABASE {database} SET session_replication_role = replica",
        "ALTER DATABASE {database} OWNER TO CURRENT_USER",
        "DROP SCHEMA ledger CASCADE",
        "ALTER SCHEMA ledger RENAME TO other",
        "DROP OWNED BY {owner}",
        "REASSIGN OWNED BY {owner} TO CURRENT_USER",
    ):
        assert refused(application, statement.format(database=owner.info.dbname, owner=owner.info.user)), statement


def test_the_ledgers_functions_are_the_only_way_in_and_cannot_be_changed(owner: Session, application: Session) -> None:
    functions = owner.execute(
        "SELECT proname || ' ' || oid::regprocedure FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace"
    ).fetchall()
    allowed = set()
    for name, _, signature in (function.partition(" ") for function in functions):
        may = "SELECT has_function_privilege(%s, %s, 'EXECUTE') OR has_function_privilege('public', %s, 'EXECUTE')"
        if owner.execute(may, [APPLICATION, signature, signature]).fetchone():
            allowed.add(name)
        for change in ("SECURITY INVOKER", "RENAME TO other", "SET search_path = public"):
            assert refused(application, f"ALTER ROUTINE {signature} {change}"), signature
        assert refused(application, f"DROP ROUTINE {signature}"), signature
    assert allowed <= DOORS
    assert {"earn", "spend", "clock"} <= allowed
    moved = "CREATE OR REPLACE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'"
    assert refused(application, moved)
    assert refused(
        application, "SELECT ledger.append(NULL::ledger.account, NULL::ledger.entry, NULL::bigint[], NULL::bigint[])"
    )


def test_it_owns_nothing_in_this_database_and_in_the_whole_server(owner: Session) -> None:
    assert (
        owner.execute(
            "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = %s::regrole", [APPLICATION]
        ).fetchone()
        == 0
    )
    assert (
        owner.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication FROM pg_roles "
            "WHERE rolname = %s",
            [APPLICATION],
        ).fetchone()
        is False
    )


def test_a_table_that_is_added_later_is_behind_the_fence_too(fresh_database_url: str) -> None:
    with psycopg.connect(fresh_database_url, autocommit=True) as keeper:
        keeper.execute("CREATE TABLE ledger.later (id bigint GENERATED ALWAYS AS IDENTITY)")
        keeper.execute("GRANT ALL ON ledger.later TO PUBLIC")
        keeper.execute("CREATE TABLE public.later (id bigserial PRIMARY KEY)")
        keeper.execute("CREATE FUNCTION ledger.helper() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        keeper.execute("SELECT ledger.admit_application(%s)", [APPLICATION])
        assert keeper.execute("SELECT ledger.admit_application(%s)", [APPLICATION]).fetchone() == (0,)
    with psycopg.connect(application_login(fresh_database_url), autocommit=True) as session:
        assert refused(session, "INSERT INTO ledger.later DEFAULT VALUES")
        assert refused(session, "SELECT ledger.helper()")
        assert session.execute("SELECT count(*) FROM ledger.later").fetchone() == (0,)
        session.execute("INSERT INTO public.later DEFAULT VALUES")
