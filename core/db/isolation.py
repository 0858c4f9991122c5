"""Row-level security on PostgreSQL, and on both databases an audit list that only grows.

In each transaction a session acts as APP_ROLE and names its shop (engine._take_role), so any SQL at all, and any SQL
that went around the guard, finds that shop's rows only. Tables that are ShopScoped show nothing without a shop; the
others with a shop_id, and `shop`, show every row to a session that says it is the system's. enforce() follows every
migration, so a new table is never without its policy; check() stops the start when something is missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import Session

from core.db.models import SHOP_SCOPED, AuditEvent, Model, Shop
from core.errors import DatabaseUnavailable

APP_ROLE = "shoptally_app"
KEEP_AUDIT_DAYS = 730  # for events without a shop

_POLICY = "of_the_shop"
# In (SELECT ..), so that it is computed once a query and not once a row; a setting that ended with its transaction
# is the empty string afterwards.
_NAMED = "{} = (SELECT nullif(current_setting('app.shop_id', true), '')::bigint)"
_OR_SYSTEM = " OR (SELECT current_setting('app.system', true)) = 'on'"
_SCHEMA = "current_schema()::regnamespace"
_AUDIT = str(AuditEvent.__tablename__)


def policies() -> dict[str, str]:
    """By table, the condition on its rows: every table with a shop_id, and `shop`."""
    scoped = {model.__tablename__ for model in SHOP_SCOPED}
    return {
        table.name: _NAMED.format("shop_id") + ("" if table.name in scoped else _OR_SYSTEM)
        for table in Model.metadata.sorted_tables
        if "shop_id" in table.c
    } | {str(Shop.__tablename__): _NAMED.format("id") + _OR_SYSTEM}


def enforce(connection: Connection) -> None:
    """Put isolation in force where something of it is missing, as the owner of the tables.

    Call it behind the migrations' lock. Raises DatabaseUnavailable with the SQL an administrator has to run.
    """
    if connection.dialect.name == "sqlite":
        for statement in _SQLITE_TRIGGERS:
            connection.exec_driver_sql(statement)
        return
    _make_role(connection)
    if faults(connection):
        for statement in _statements(connection):
            connection.exec_driver_sql(statement)


def check(connection: Connection) -> None:
    """Refuse to run when isolation is not in force. Raises DatabaseUnavailable naming each fault."""
    if found := faults(connection):
        raise DatabaseUnavailable(
            f"Shops are not kept apart in this database: {'; '.join(found)}. Run: python -m core migrate"
        )


def lift(connection: Connection) -> None:
    """Let the owner see every row until enforce(): a migration that rewrites rows would find none otherwise."""
    if connection.dialect.name == "postgresql":
        forced = (
            "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relnamespace = current_schema()::regnamespace"
        )
        for name in set(connection.exec_driver_sql(forced).scalars()) & set(policies()):
            connection.exec_driver_sql(f'ALTER TABLE "{name}" NO FORCE ROW LEVEL SECURITY')


@contextmanager
def as_owner(session: Session) -> Iterator[None]:
    """For a moment of this transaction the login role itself, which may delete audit events; the shop stays named."""
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        yield
        return
    system = connection.exec_driver_sql("SELECT current_setting('app.system', true)").scalar() or ""
    _set(connection, role="none", system="on")
    yield  # after an error the transaction is over, and the settings with it
    session.flush()
    _set(connection, role=APP_ROLE, system=system)


def _set(connection: Connection, *, role: str, system: str) -> None:
    connection.exec_driver_sql(
        "SELECT set_config('role', %s, true), set_config('app.system', %s, true)", (role, system)
    )


def _make_role(connection: Connection) -> None:
    """Make the role and let this user take it; either may have been done by an administrator before."""
    if _may_take_role(connection):
        return
    for statement in (f"CREATE ROLE {APP_ROLE} NOLOGIN", f"GRANT {APP_ROLE} TO CURRENT_USER"):
        with suppress(sa_exc.ProgrammingError, sa_exc.IntegrityError, sa_exc.InternalError), connection.begin_nested():
            connection.exec_driver_sql(statement)
    if not _may_take_role(connection):
        user = connection.exec_driver_sql("SELECT quote_ident(current_user)").scalar()
        raise DatabaseUnavailable(
            f"The database user {user} may not make the role that keeps shops apart. Let an administrator run: "
            f"CREATE ROLE {APP_ROLE} NOLOGIN; GRANT {APP_ROLE} TO {user};"
        )


def _may_take_role(connection: Connection) -> bool:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SET LOCAL ROLE {APP_ROLE}")
            connection.exec_driver_sql("SET LOCAL ROLE NONE")
    except (sa_exc.ProgrammingError, sa_exc.DataError):
        return False
    return True


def _statements(connection: Connection) -> Iterator[str]:
    """Everything anew: this runs only after a migration, or when somebody loosened something."""
    database, schema = connection.exec_driver_sql(
        "SELECT quote_ident(current_database()), quote_ident(current_schema())"
    ).one()
    if not _holds(connection, "has_schema_privilege(%s, current_schema(), 'USAGE')"):
        yield f"GRANT USAGE ON SCHEMA {schema} TO {APP_ROLE}"
    if not _holds(connection, "has_database_privilege(%s, current_database(), 'TEMPORARY')"):
        yield f"GRANT TEMPORARY ON DATABASE {database} TO {APP_ROLE}"  # upsert's stage
    for table in Model.metadata.sorted_tables:
        yield f'REVOKE ALL ON "{table.name}" FROM PUBLIC, {APP_ROLE}'
        yield f'GRANT {", ".join(_privileges(table.name))} ON "{table.name}" TO {APP_ROLE}'
    for name in connection.exec_driver_sql(_SEQUENCES).scalars():
        yield f"GRANT USAGE ON SEQUENCE {name} TO {APP_ROLE}"
    for name, condition in policies().items():
        stored = connection.exec_driver_sql(
            "SELECT quote_ident(polname) FROM pg_policy WHERE polrelid = %s::regclass", (f'"{name}"',)
        )
        yield from (f'DROP POLICY {policy} ON "{name}"' for policy in stored.scalars().all())
        yield f'CREATE POLICY {_POLICY} ON "{name}" USING ({condition}) WITH CHECK ({condition})'
        yield f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'


def _privileges(table: str) -> tuple[str, ...]:
    return ("SELECT", "INSERT") if table == _AUDIT else ("SELECT", "INSERT", "UPDATE", "DELETE")


def faults(connection: Connection) -> list[str]:
    """What is missing for isolation to be in force, one clause each; empty when all is well."""
    if connection.dialect.name == "sqlite":
        made = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars())
        return [f"the trigger {name} is missing" for name in _TRIGGER_NAMES if name not in made]
    return [*_faults_of_role(connection), *_faults_of_tables(connection)]


def _faults_of_role(connection: Connection) -> list[str]:
    role = connection.exec_driver_sql(
        "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s", (APP_ROLE,)
    ).scalar()
    if role is None:
        return [f"the role {APP_ROLE} is missing"]
    found = []
    if role:
        found.append(f"the role {APP_ROLE} bypasses row-level security")
    if not _may_take_role(connection):
        found.append(f"this database user may not act as {APP_ROLE}")
    return found


def _faults_of_tables(connection: Connection) -> list[str]:
    if not connection.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", (APP_ROLE,)).scalar():
        return []
    wanted, found = policies(), []
    worded = {condition: _as_worded(connection, condition) for condition in set(wanted.values())}
    stored = {row.name: row for row in connection.exec_driver_sql(_TABLES, {"role": APP_ROLE})}
    ours = {table.name for table in Model.metadata.sorted_tables}
    for name in ours | set(stored):
        row = stored.get(name)
        if row is None or (name in ours and not set(_privileges(name)) <= set(row.granted)):
            found.append(f"the table {name} is missing for {APP_ROLE}")
            continue
        if name == _AUDIT and {"UPDATE", "DELETE", "TRUNCATE"} & set(row.granted):
            found.append(f"{name} can be changed")
        if name not in wanted and not row.has_shop:
            continue
        if not row.forced:
            found.append(f"{name} has no forced row-level security")
        if row.policies != [worded.get(wanted.get(name, ""))]:
            found.append(f"the policy of {name} is another")
        if row.owned:
            found.append(f"{name} belongs to {APP_ROLE}")
    lacking = [
        name for name in connection.exec_driver_sql(_SEQUENCES).scalars()
        if not _holds(connection, f"has_sequence_privilege(%s, '{name}', 'USAGE')")
    ]  # fmt: skip
    return sorted(found) + [f"the sequence {name} may not be used" for name in lacking]


def _holds(connection: Connection, question: str) -> bool:
    return bool(connection.exec_driver_sql(f"SELECT {question}", (APP_ROLE,)).scalar())


def _as_worded(connection: Connection, condition: str) -> str:
    """A policy's condition as PostgreSQL words it, to compare with what is stored: that differs between versions."""
    run = connection.exec_driver_sql
    run("CREATE TEMPORARY TABLE policy_wording (id integer, shop_id integer)")
    run(f"CREATE POLICY {_POLICY} ON policy_wording USING ({condition}) WITH CHECK ({condition})")
    worded = str(run(f"SELECT {_WORDING} FROM pg_policy WHERE polrelid = 'policy_wording'::regclass").scalar())
    run("DROP TABLE policy_wording")
    return worded


# Name, permissive, command, roles, both conditions: a second or a wider policy shows, too.
_WORDING = (
    "concat_ws(' ', polname, polpermissive, polcmd, polroles, "
    "pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))"
)

# What the role can read: whatever else lives in the schema is no door. A view with a shop_id has no policy and shows.
_TABLES = f"""
SELECT relation.relname AS name,
       relation.relrowsecurity AND relation.relforcerowsecurity AS forced,
       pg_has_role(%(role)s, relation.relowner, 'MEMBER') AS owned,
       EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = relation.oid AND attname = 'shop_id') AS has_shop,
       ARRAY(SELECT {_WORDING} FROM pg_policy WHERE polrelid = relation.oid) AS policies,
       ARRAY(SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) privilege
             WHERE has_table_privilege(%(role)s, relation.oid, privilege)) AS granted
FROM pg_class relation
WHERE relation.relnamespace = {_SCHEMA} AND relation.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND has_table_privilege(%(role)s, relation.oid, 'SELECT')
"""

_SEQUENCES = f"""
SELECT DISTINCT sequence.oid::regclass::text FROM pg_class sequence
JOIN pg_depend ON pg_depend.objid = sequence.oid AND pg_depend.deptype IN ('a', 'i')
WHERE sequence.relkind = 'S' AND sequence.relnamespace = {_SCHEMA}
"""

# SQLite has no roles. An event may go when its time is over, or with its shop; nothing else.
_TRIGGER_NAMES = ("audit_event_is_final", "audit_event_is_kept")
_SQLITE_TRIGGERS = (
    f"""CREATE TRIGGER IF NOT EXISTS audit_event_is_final BEFORE UPDATE ON {_AUDIT}
    BEGIN SELECT RAISE(ABORT, 'audit events cannot be changed'); END""",
    f"""CREATE TRIGGER IF NOT EXISTS audit_event_is_kept BEFORE DELETE ON {_AUDIT}
    WHEN (OLD.shop_id IS NULL OR EXISTS (SELECT 1 FROM shop WHERE id = OLD.shop_id))
     AND OLD.at > datetime('now', '-' || coalesce(
         (SELECT keep_audit_days FROM shop WHERE id = OLD.shop_id), {KEEP_AUDIT_DAYS}) || ' days')
    BEGIN SELECT RAISE(ABORT, 'audit events cannot be deleted before their time'); END""",
)
