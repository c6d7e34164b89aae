"""Compares the functions and views of a database with the files of sql/functions, except pgmq_public."""

from collections.abc import Iterator, Mapping, Sequence, Set

from pgmq_gateway.install.catalog import PUBLIC, Entry, Key
from pgmq_gateway.install.findings import Finding
from pgmq_gateway.install.records import Shipped
from pgmq_gateway.install.scripts import Script


def findings(
    scripts: Sequence[Script],
    files: Mapping[str, str],
    shipped: Mapping[Key, Shipped],
    present: Mapping[Key, Entry],
    installer: str | None,
    owners: Set[str] = frozenset(),
) -> dict[str, list[Finding]]:
    """The differences, by the path of the file that repairs them.

    files, shipped  the installer's records
    present         functions and views of the database
    installer       the owner of functions; None: owners are not compared
    owners          other roles that own the functions for which a file names them
    """
    found = {}
    for script in scripts:
        if files.get(script.path) != script.checksum:
            found[script.path] = list(_outdated(script, shipped, present))
        else:
            made = [key for key, record in shipped.items() if record.file == script.path]
            found[script.path] = [
                *(
                    finding
                    for key in made
                    for finding in _altered(
                        key, shipped[key], present.get(key), installer and script.owner(key.name, installer, owners)
                    )
                ),
                *_lost_grants(script, [present[key] for key in made if key in present]),
            ]
    return {path: differences for path, differences in found.items() if differences}


def _outdated(script: Script, shipped: Mapping[Key, Shipped], present: Mapping[Key, Entry]) -> Iterator[Finding]:
    there, recorded = {str(key) for key in present}, {str(key) for key in shipped}
    for name in dict.fromkeys(map(str, script.creations)):
        yield Finding("outdated" if name in there else "missing" if name in recorded else "not installed", name)


def _altered(key: Key, record: Shipped, entry: Entry | None, owner: str | None) -> Iterator[Finding]:
    if entry is None:
        yield Finding("missing", str(key))
        return
    if entry.md5 != record.md5:
        yield Finding("changed", str(key))
    if owner is not None and entry.owner != owner:
        yield Finding("wrong owner", f"{key} ({entry.owner})")
    for privilege in sorted(entry.privileges):
        grantee, _, name = privilege.partition("=")
        if grantee == PUBLIC:
            yield Finding("open", f"{name} on {key} for PUBLIC")


def _lost_grants(script: Script, made: Sequence[Entry]) -> Iterator[Finding]:
    for grant in script.grants:
        for entry in made:
            named = (entry.key.schema, entry.key.name) == (grant.schema, grant.name)
            if named and not entry.allows(grant.grantee, grant.privilege):
                yield Finding("missing", f"{grant.privilege} on {entry.key} for {grant.grantee}")
