"""Revokes privileges that no call needs, such as TRIGGER, from roles of requests, unless the operator keeps them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgmq_gateway.database.driver import Connection
from pgmq_gateway.install.findings import Finding


@dataclass(frozen=True, slots=True)
class Excess:
    """Privileges of one role on one table, or on new tables.

    place       "table pgmq.meta"
    revocation  the statement that revokes them; None where the installer cannot run it
    """

    place: str
    grantor: str
    grantee: str
    privileges: str
    revocation: str | None

    def __str__(self) -> str:
        return f"{self.privileges} on {self.place} for {self.grantee}"


async def keep(connection: Connection, wanted: bool) -> None:
    """Record whether this install and later ones keep the privileges."""
    await connection.execute(
        "insert into pgmq_gateway.install_options (name, value) values ('keep_trigger', $1)"
        " on conflict (name) do update set value = excluded.value",
        str(wanted).lower(),
    )


async def findings(connection: Connection) -> Sequence[Finding]:
    """The privileges to revoke, and in one line each those that the operator keeps or only other roles can revoke."""
    present = await _present(connection)
    if await connection.fetchval("select pgmq_gateway.keeps_excess_privileges()"):
        return list(_kept(present, "pgmq-gateway install --revoke-trigger revokes them"))
    others = [each for each in present if each.revocation is None]
    grantors = ", ".join(sorted({each.grantor for each in others}))
    return [
        *(Finding("open", str(each)) for each in present if each.revocation is not None),
        *_kept(others, f"only {grantors} can revoke them"),
    ]


async def revoke(connection: Connection) -> Sequence[str]:
    """Revoke the privileges. Returns a line for each revocation, and one for those that stay."""
    found = await findings(connection)
    if any(not finding.accepted for finding in found):
        for each in await _present(connection):
            if each.revocation is not None:
                await connection.execute(each.revocation)
    return [str(finding) if finding.accepted else finding.repair for finding in found]


async def _present(connection: Connection) -> Sequence[Excess]:
    rows = await connection.fetch(
        "select place, grantor, grantee, privileges, revocation from pgmq_gateway.excess_privileges()"
    )
    return [Excess(*row) for row in rows]


def _kept(present: Sequence[Excess], reason: str) -> Iterable[Finding]:
    if present:
        privileges = ", ".join(sorted({name for each in present for name in each.privileges.split(", ")}))
        grantees = ", ".join(sorted({each.grantee for each in present}))
        places = {each.place for each in present}
        tables = next(iter(places)) if len(places) == 1 else f"{len(places)} tables of pgmq"
        yield Finding("kept", f"{privileges} on {tables} for {grantees} ({reason})")
