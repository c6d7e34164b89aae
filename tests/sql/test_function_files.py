"""The files of sql/functions: applied when they change; functions that they no longer create are dropped."""

from collections.abc import Sequence

import pytest

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.install.findings import InstallError
from pgmq_gateway.install.installer import Release, install
from pgmq_gateway.install.records import shipped
from pgmq_gateway.install.scripts import Grant, Script, function_scripts
from tests.databases import Sql
from tests.sql.conftest import connected

THIS = Release.this()


@pytest.fixture
def uri(directory: DataDirectory, database: str) -> str:
    """The URI of an installed database, as its owner."""
    return socket_uri(directory, database=database)


def release(**files: str) -> Release:
    """This version with more files: release(one="…") adds sql/functions/pgmq_gateway/x_one.sql."""
    internal = [script for script in THIS.scripts if script.schema != "pgmq_public"]
    public = [script for script in THIS.scripts if script.schema == "pgmq_public"]
    more = [Script(f"pgmq_gateway/x_{name}.sql", text) for name, text in files.items()]
    ordered = [
        script for schema in ("pgmq_gateway", "pgmq_admin") for script in [*internal, *more] if script.schema == schema
    ]
    return Release(THIS.migrations, [*ordered, *public])


async def apply(uri: str, **files: str) -> Sequence[str]:
    async with connected(uri) as connection:
        return await install(connection, release=release(**files))


def function(name: str, arguments: str = "", returns: str = "integer", body: str = "select 1") -> str:
    return (
        f"create or replace function pgmq_gateway.{name}({arguments})\nreturns {returns}\nlanguage sql\n"
        f"as $x$\n{body}\n$x$;\nrevoke all on function pgmq_gateway.{name} from public;\n"
        f"grant execute on function pgmq_gateway.{name} to authenticator;\n"
    )


def signatures(db: Sql) -> list[str]:
    return [
        row[0]
        for row in db("select oid::regprocedure::text from pg_proc where proname like 'x\\_%' order by 1")
    ]  # fmt: skip


async def test_only_files_that_changed_are_applied(uri: str, db: Sql) -> None:
    done = await apply(uri, one=function("x_one"), two=function("x_two"))
    assert done == ["installed: function pgmq_gateway.x_one", "installed: function pgmq_gateway.x_two"]
    rows = "select proname::text, xmin::text from pg_proc where proname like 'x\\_%' order by 1"
    (one, two) = db(rows)
    done = await apply(uri, one=function("x_one", body="select 2"), two=function("x_two"))
    assert done == ["replaced: function pgmq_gateway.x_one"]
    (new_one, new_two) = db(rows)
    assert (new_one == one, new_two == two) == (False, True)
    assert db("select pgmq_gateway.x_one()") == [(2,)]


@pytest.mark.parametrize(
    ("arguments", "returns", "body", "signature"),
    [
        ("a integer", "integer", "select 1", "pgmq_gateway.x_one(integer)"),
        ("a integer default 1", "integer", "select 1", "pgmq_gateway.x_one(integer)"),
        ("", "text", "select 'a'", "pgmq_gateway.x_one()"),
        ("", "table (a integer, b integer)", "select 1, 2", "pgmq_gateway.x_one()"),
    ],
)
async def test_a_changed_signature_drops_the_former_one(
    uri: str, db: Sql, arguments: str, returns: str, body: str, signature: str
) -> None:
    await apply(uri, one=function("x_one"))
    await apply(uri, one=function("x_one", arguments, returns, body))
    assert signatures(db) == [signature]
    assert db("select proacl::text from pg_proc where proname = 'x_one'") == [
        ("{postgres=X/postgres,authenticator=X/postgres}",)
    ]
    async with connected(uri) as connection:
        records = [key for key in await shipped(connection) if key.name == "x_one"]
    assert [(key.kind, key.schema, key.arguments) for key in records] == [
        ("function", "pgmq_gateway", arguments.removesuffix(" default 1"))
    ]


async def test_a_view_of_the_operator_that_depends_on_it_stops_the_change(uri: str, db: Sql) -> None:
    await apply(uri, one=function("x_one"))
    db("create view public.theirs as select pgmq_gateway.x_one()")
    with pytest.raises(
        InstallError, match=r"cannot replace or drop function pgmq_gateway\.x_one: view public\.theirs depends on"
    ):
        await apply(uri, one=function("x_one", "a integer"))
    with pytest.raises(
        InstallError, match=r"view public\.theirs depends on it; drop that, install again, and create it"
    ):
        await apply(uri, one=function("x_one", returns="text", body="select 'a'"))
    with pytest.raises(InstallError, match=r"view public\.theirs depends on it;"):
        await apply(uri)
    assert db("select * from public.theirs") == [(1,)]
    assert signatures(db) == ["pgmq_gateway.x_one()"]
    # A replacement in place drops nothing.
    await apply(uri, one=function("x_one", body="select 2"))
    assert db("select * from public.theirs") == [(2,)]


async def test_what_depends_on_a_changed_view_and_is_ours_is_made_again(uri: str, db: Sql) -> None:
    view = "create or replace view pgmq_gateway.x_view as select {};\n"
    reader = function("x_reader", "", "setof pgmq_gateway.x_view", "select * from pgmq_gateway.x_view")
    await apply(uri, view=view.format("1 as a, 2 as b"), view_reader=reader)
    await apply(uri, view=view.format("3 as b"), view_reader=reader)
    assert db("select b from pgmq_gateway.x_reader()") == [(3,)]
    assert signatures(db) == ["pgmq_gateway.x_reader()"]


async def test_what_a_file_no_longer_makes_is_dropped(uri: str, db: Sql) -> None:
    both = function("x_one") + "create or replace view pgmq_gateway.x_view as select 1 as a;\n"
    await apply(uri, both=both, other=function("x_other"))
    await apply(uri, both=function("x_two"))
    assert signatures(db) == ["pgmq_gateway.x_two()"]
    assert db("select to_regclass('pgmq_gateway.x_view') is null") == [(True,)]
    await apply(uri)
    assert signatures(db) == []
    assert db("select file from pgmq_gateway.function_files where file like '%/x\\_%'") == []
    assert db("select name from pgmq_gateway.shipped where name like 'x\\_%'") == []


async def test_a_function_that_moves_to_another_file_is_kept(uri: str, db: Sql) -> None:
    await apply(uri, a=function("x_one") + function("x_two"))
    oids = db("select oid from pg_proc where proname like 'x\\_%' order by proname")
    await apply(uri, a=function("x_two"), b=function("x_one"))
    await apply(uri, b=function("x_one"), c=function("x_two"))
    assert db("select oid from pg_proc where proname like 'x\\_%' order by proname") == oids
    assert db("select name, file from pgmq_gateway.shipped where name like 'x\\_%' order by 1") == [
        ("x_one", "pgmq_gateway/x_b.sql"), ("x_two", "pgmq_gateway/x_c.sql")
    ]  # fmt: skip


async def test_overloads_live_beside_each_other(uri: str, db: Sql) -> None:
    def overload(arguments: str) -> str:
        return (
            f"create or replace function pgmq_gateway.x_one({arguments}) returns integer language sql as 'select 1';\n"
        )

    await apply(uri, one=overload("a integer") + overload("a text"))
    await apply(uri, one=overload("a text") + overload("a boolean"))
    assert signatures(db) == ["pgmq_gateway.x_one(boolean)", "pgmq_gateway.x_one(text)"]


async def test_a_function_that_another_role_made_first_is_replaced_and_owned(uri: str, db: Sql) -> None:
    db("create function pgmq_gateway.x_one() returns integer language sql as 'select 9'")
    db("create function pgmq_gateway.x_one(text) returns integer language sql as 'select 9'")
    db("alter function pgmq_gateway.x_one() owner to anon")
    db("alter function pgmq_gateway.x_one(text) owner to anon")
    one = "create or replace function pgmq_gateway.x_one() returns integer language sql as 'select 1';\n"
    await apply(uri, one=one)
    assert db("select oid::regprocedure::text, proowner::regrole::text from pg_proc where proname = 'x_one'") == [
        ("pgmq_gateway.x_one()", "postgres"), ("pgmq_gateway.x_one(text)", "anon")
    ]  # fmt: skip
    assert db("select pgmq_gateway.x_one()") == [(1,)]


async def test_a_dependent_that_moved_to_another_file_is_made_again(uri: str, db: Sql) -> None:
    view = "create or replace view pgmq_gateway.x_view as select {};\n"
    reader = function("x_reader", "", "setof pgmq_gateway.x_view", "select * from pgmq_gateway.x_view")
    other = function("x_other")
    await apply(uri, b_view=view.format("1 as a, 2 as b"), c_old=reader + other)
    await apply(uri, a_new=other, b_view=view.format("3 as b"), c_old=reader)
    await apply(uri, a_new=other, b_view=view.format("4 as a, 5 as c"), d_new=reader)
    assert signatures(db) == ["pgmq_gateway.x_other()", "pgmq_gateway.x_reader()"]
    assert db("select a, c from pgmq_gateway.x_reader()") == [(4, 5)]


async def test_functions_of_others_in_these_schemas_are_left_alone(uri: str, db: Sql) -> None:
    db("create function pgmq_admin.x_theirs() returns integer language sql as 'select 1'")
    await apply(uri, one=function("x_one"))
    await apply(uri)
    assert signatures(db) == ["pgmq_admin.x_theirs()"]


async def test_a_failing_file_changes_nothing(uri: str, db: Sql) -> None:
    await apply(uri, one=function("x_one"))
    with pytest.raises(InstallError, match="type missing does not exist"):
        await apply(uri, one=function("x_two"), two=function("x_three", "a missing"))
    assert signatures(db) == ["pgmq_gateway.x_one()"]
    assert await apply(uri, one=function("x_one")) == []


async def test_another_installer_is_told_whose_it_is(uri: str, db: Sql) -> None:
    db("create role limited login")
    db("grant usage on schema pgmq_gateway to limited")
    db("grant select on all tables in schema pgmq_gateway to limited")
    try:
        async with connected(uri.replace("postgres@", "limited@")) as connection:
            owned = "schema pgmq is owned by postgres, whose privileges limited does not have: install as"
            with pytest.raises(InstallError, match=owned):
                await install(connection)
            db("alter schema pgmq owner to limited")
            db("alter table pgmq.meta owner to limited")
            with pytest.raises(
                InstallError, match=r"is owned by postgres, and limited cannot take ownership: install as"
            ):
                await install(connection)
    finally:
        db("reassign owned by limited to postgres")
        db("drop owned by limited")
        db("drop role limited")


def test_every_statement_of_the_files_is_understood() -> None:
    made = (f"create or replace {kind} " for kind in ("function", "procedure", "view"))
    known = (*made, "comment on ", "revoke ", "grant ", "alter function ")
    for script in function_scripts():
        assert script.creations, script.path
        for statement in script.statements:
            assert statement.outline.startswith(known), (script.path, statement.outline)
            assert list(statement.grants) or not statement.outline.startswith("grant "), statement.outline
            assert statement.owner or not statement.outline.startswith("alter "), statement.outline
        assert {creation.schema for creation in script.creations} == {script.schema}, script.path


def test_a_file_of_the_api_makes_one_function_that_its_grants_name_with_its_arguments() -> None:
    for script in function_scripts():
        if script.schema == "pgmq_public":
            (creation,) = script.creations
            assert script.path == f"pgmq_public/{creation.name}.sql"
            assert {(grant.name, bool(grant.arguments)) for grant in script.grants} == {(creation.name, True)}


def test_texts_and_comments_end_no_statement() -> None:
    text = """
    -- A comment; not a statement.
    create or replace function s.f() returns text language sql as $a$ select ';' || $$;$$ $a$; /* ; */
    comment on function s.f() is 'it''s; odd';
    grant execute on function s.f(text, jsonb[]), s.g to one, two;
    """
    script = Script("s/f.sql", text)
    assert [statement.text.split()[0] for statement in script.statements] == ["create", "comment", "grant"]
    assert [str(creation) for creation in script.creations] == ["function s.f"]
    assert script.grants == [
        Grant("EXECUTE", "function", "s", name, arguments, grantee)
        for name, arguments in (("f", "(text, jsonb[])"), ("g", ""))
        for grantee in ("one", "two")
    ]
    with pytest.raises(ValueError, match="a statement without its semicolon: select 1"):
        _ = Script("s/f.sql", "select 1").statements
