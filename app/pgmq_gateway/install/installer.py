"""Installs, updates and repairs a database, or only lists the differences."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import asyncpg

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install import adoption, excess, functions, public, records, state
from pgmq_gateway.install.applying import Applying
from pgmq_gateway.install.catalog import Entry, Key, entries, use_catalog_names
from pgmq_gateway.install.findings import Finding, InstallError
from pgmq_gateway.install.migrations import (
    Migration,
    Progress,
    limit_lock_waits,
    lock,
    migrate,
    migrations,
    pending,
    repair,
)
from pgmq_gateway.install.public import Api
from pgmq_gateway.install.records import Shipped
from pgmq_gateway.install.scripts import Script, function_scripts
from pgmq_gateway.install.time_limits import time_limits
from pgmq_gateway.schemas import QUEUES

# The functions that return lost properties of pgmq's objects. Those after the first two need pgmq.meta.
_RESTORING_WITHOUT_PGMQ = ("lost_privileges", "missing_replica_identities")
_RESTORING = (
    *_RESTORING_WITHOUT_PGMQ,
    "missing_service_policies",
    "missing_definer_access",
    "missing_helper_privileges",
    "missing_setting_keys",
    "missing_group_code",
    "missing_viewer_privileges",
)
# Those that have something to do in every new database.
_FIRST = ("missing_replica_identities", "missing_setting_keys")
# All functions that the installer calls. missing_group_code calls many of pgmq_settings.
_CALLED = (
    "function pgmq_settings.",
    *(
        f"function pgmq_gateway.{name}"
        for name in (
            *_RESTORING,
            "has_viewer",
            "create_viewer",
            "viewer_functions",
            "missing_policies",
            "missing_helpers",
            "api_helpers",
            "orphans",
            "is_allowed_name",
            "incomplete_queues",
            "service_role_needs_policies",
            "default_privileges_option",
            "excess_privileges",
            "keeps_excess_privileges",
            "caller_roles",
            "request_roles",
            "can_switch_to",
            "has_group_code",
            "former_group_code",
        )
    ),
)

_POLICIES = "service_role has no BYPASSRLS: each queue gets a policy with which it can access all messages"
_VIEWER = "role queue_viewer"
_LOCKED = (
    "a table was locked for more than 3 seconds by another transaction, as of pg_dump: wait until it has ended,"
    " and repeat the command"
)

# The roles that the installer can give functions to.
_OWNERS = "select rolname from pg_catalog.pg_roles where rolname = any ($1::text[]) and pg_has_role(oid, 'usage')"


@dataclass(frozen=True, slots=True)
class Release:
    """All SQL of one version."""

    migrations: Sequence[Migration]
    scripts: Sequence[Script]

    @classmethod
    def this(cls) -> "Release":
        """The SQL of this version."""
        return cls(migrations(), function_scripts())

    @property
    def state(self) -> Sequence[Script]:
        """The scripts that create state, the installer's own tables first."""
        return [Script("", records.TABLES), *(migration.script for migration in self.migrations)]


async def install(
    connection: Connection,
    *,
    replace: bool = False,
    keep_trigger: bool | None = None,
    viewer: bool = False,
    release: Release | None = None,
    progress: Progress = lambda _: None,
) -> Sequence[str]:
    """Install, update or repair a database. Returns a line for each change.

    connection    its role must be able to create roles and schemas, and owns all that is created
    replace       also replace existing functions of pgmq_public, and create the schema if it was dropped
    keep_trigger  whether roles of requests keep TRIGGER and the like on pgmq's tables; default: as the last time
    viewer        also create the role queue_viewer; later installs keep its privileges complete
    release       the SQL to install; default: this version's
    progress      called with a few words at the start of each step

    Concurrent installers wait for each other. Raises InstallError.
    """
    release = release or Release.this()
    try:
        await state.require_pgmq(connection)
        before = await time_limits(connection)
        applied = await migrate(connection, release.migrations, progress)
        done = [f"installed: {migration}" for migration in applied]
        done += [finding.repair for finding in await repair(connection, release.migrations, release.state, progress)]
        limits = (await time_limits(connection)).items() - before.items()
        done += [f"set: statement_timeout of role {role} to {limit}" for role, limit in sorted(limits)]
        done += await _install_release(
            connection, release, applied, replace=replace, keep_trigger=keep_trigger, viewer=viewer, progress=progress
        )
        done += await adoption.adopt(connection)
    except asyncpg.LockNotAvailableError:
        raise InstallError(_LOCKED) from None
    except asyncpg.PostgresError as error:
        more = "".join(f" ({part})" for part in (error.detail, error.hint) if part)
        raise InstallError(f"{error.message}{more}") from None
    return done


async def _install_release(
    connection: Connection,
    release: Release,
    applied: Sequence[Migration],
    *,
    replace: bool,
    keep_trigger: bool | None,
    viewer: bool,
    progress: Progress,
) -> list[str]:
    """Install functions and restore privileges, in one transaction after the migrations, of which `applied` are new."""
    async with connection.transaction():
        await lock(connection)
        await limit_lock_waits(connection)
        done = await _install_functions(connection, release.scripts, replace=replace, progress=progress)
        if applied and await connection.fetchval("select pgmq_gateway.service_role_needs_policies()"):
            done.append(_POLICIES)
        if viewer:
            done += await _create_viewer(connection)
        done += await _restore_pgmq(connection)
        if keep_trigger is not None:
            await excess.keep(connection, keep_trigger)
        done += await excess.revoke(connection)
    return done


async def is_complete(connection: Connection) -> bool:
    """True if all functions and views of this version exist, as commands on queues need. Raises InstallError."""
    async with connection.transaction(readonly=True):
        release = Release.this()
        if await pending(connection, release.migrations):
            return False
        differences = (await _look(connection, release.scripts)).differences()
        return not any(
            finding.kind in ("missing", "not installed") for each in differences.values() for finding in each
        )


async def check(connection: Connection, *, viewer: bool = False) -> Sequence[Finding]:
    """The differences that `install` would repair or respect. Writes nothing. Raises InstallError."""
    async with connection.transaction(readonly=True):
        release = Release.this()
        await state.require_pgmq(connection)
        todo = await pending(connection, release.migrations)
        await use_catalog_names(connection)
        installer = await connection.fetchval("select current_user")
        found = await state.findings(connection, release.state, installer)
        if len(todo) < len(release.migrations):
            found += [Finding("missing", f"migration {migration}") for migration in todo]
        code = await _look(connection, release.scripts)
        found += code.findings(installer)
        if not any(_is_untrusted(finding, installer) for finding in found):
            present = Finding("missing", "pgmq") not in found
            lost = await _lost(connection, _RESTORING if present else _RESTORING_WITHOUT_PGMQ)
            found += [Finding("missing", what) for what, _ in lost]
            if viewer and not await connection.fetchval("select pgmq_gateway.has_viewer()"):
                found.append(Finding("missing", _VIEWER))
            if present:
                found += await adoption.findings(connection)
            if Finding("missing", f"role {state.LOGIN_ROLE}") not in found:
                found += await excess.findings(connection)
    return _without_consequences(found)


def _is_untrusted(finding: Finding, installer: str) -> bool:
    """True for a function that another role could have changed: it must not run as the installer."""
    owned = finding.kind == "wrong owner" and finding.what.endswith(f" ({installer})")
    return finding.what.startswith(_CALLED) and finding.kind != "open" and not owned


@dataclass(frozen=True, slots=True)
class _Code:
    """The functions and views of a database, and those of this version."""

    scripts: Sequence[Script]
    files: Mapping[str, str]
    shipped: Mapping[Key, Shipped]
    present: Mapping[Key, Entry]
    api: Api | None
    owners: Set[str]

    @property
    def public(self) -> Sequence[Script]:
        """The files of pgmq_public."""
        return [script for script in self.scripts if script.schema == QUEUES]

    @property
    def internal(self) -> Sequence[Script]:
        """The files of the other schemas."""
        return [script for script in self.scripts if script.schema != QUEUES]

    @property
    def has_former_files(self) -> bool:
        """True if a file was applied that this version no longer has."""
        return bool(self.files.keys() - {script.path for script in self.scripts})

    @property
    def is_first(self) -> bool:
        """True if no function was ever installed here."""
        return not self.files

    def differences(self, installer: str | None = None) -> dict[str, list[Finding]]:
        """Those of the internal schemas, by the path of the file that repairs them; of owners only with `installer`."""
        return functions.findings(self.internal, self.files, self.shipped, self.present, installer, self.owners)

    def findings(self, installer: str) -> list[Finding]:
        """The differences of all schemas."""
        found = [finding for each in self.differences(installer).values() for finding in each]
        if self.api is None and self.is_first:
            found.append(Finding("missing", f"schema {QUEUES}"))
        return [*found, *public.findings(self.api, self.public, self.files, self.shipped, installer)]


async def _look(connection: Connection, scripts: Sequence[Script]) -> _Code:
    await use_catalog_names(connection)
    named = list({owner for script in scripts for owner in script.owners.values()})
    return _Code(
        scripts,
        await records.files(connection),
        await records.shipped(connection),
        await entries(connection),
        await public.look(connection, [script for script in scripts if script.schema == QUEUES]),
        frozenset(row["rolname"] for row in await connection.fetch(_OWNERS, named)),
    )


async def _install_functions(
    connection: Connection, scripts: Sequence[Script], *, replace: bool, progress: Progress
) -> list[str]:
    code = await _look(connection, scripts)
    installer = await connection.fetchval("select current_user")
    differences = code.differences(installer)
    if differences or code.has_former_files:
        progress("Installing functions")
        applying = Applying(connection, code.internal, code.shipped, installer, differences, code.present, code.owners)
        await applying.run()
        await records.keep_files(connection, [script.path for script in scripts])
    done = [finding for each in differences.values() for finding in each]
    api = code.api
    if api is None and (replace or code.is_first):
        await connection.execute(f"create schema {QUEUES}")
        api = await public.look(connection, code.public)
    if api is not None:
        done += public.findings(api, code.public, code.files, code.shipped, installer)
        await public.apply(connection, code.public, api, code.shipped, installer, replace=replace)
        if code.is_first or code.api is None:
            await connection.execute("select pgmq_gateway.grant_public_functions()")
    if code.is_first:
        # As a part of the installation, these are no repairs.
        for _, statement in await _lost(connection, _FIRST):
            await connection.execute(statement)
    first = [f"installed: functions of {', '.join(dict.fromkeys(script.schema for script in scripts))}"]
    return first if code.is_first else [finding.repair for finding in done if not finding.accepted]


async def _create_viewer(connection: Connection) -> Sequence[str]:
    """Create the read-only role, unless this database has it."""
    if await connection.fetchval("select pgmq_gateway.has_viewer()"):
        return []
    await connection.execute("select pgmq_gateway.create_viewer()")
    # As a part of the creation, these are no repairs.
    for _, statement in await _lost(connection, ("missing_viewer_privileges",)):
        await connection.execute(statement)
    return [f"installed: {_VIEWER}"]


async def _restore_pgmq(connection: Connection) -> list[str]:
    lost = await _lost(connection)
    for _, statement in lost:
        await connection.execute(statement)
    await connection.execute("select pgmq_gateway.record_default_privileges()")
    return [f"restored: {what}" for what, _ in lost]


async def _lost(connection: Connection, functions: Sequence[str] = _RESTORING) -> Sequence[tuple[str, str]]:
    """Lost properties of pgmq's objects, each with the statement that restores it."""
    return [each for function in functions for each in await _lacking(connection, function)]


async def _lacking(connection: Connection, function: str) -> Sequence[tuple[str, str]]:
    rows = await connection.fetch(f"select what, statement from pgmq_gateway.{function}() where statement is not null")
    return [(row["what"], row["statement"]) for row in rows]


def _without_consequences(found: Sequence[Finding]) -> list[Finding]:
    """Leave out objects of missing schemas, and privileges of missing roles."""
    missing = {finding.what for finding in found if finding.kind == "missing"}
    schemas = [what.removeprefix("schema ") for what in missing if what.startswith("schema ")]
    roles = [what.removeprefix("role ") for what in missing if what.startswith("role ")]
    return [
        finding
        for finding in dict.fromkeys(found)
        if not any(f" {schema}." in finding.what for schema in schemas)
        and not any(finding.what.endswith(f" for {role}") for role in roles)
    ]
