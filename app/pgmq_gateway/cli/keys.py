"""The commands that print keys and tokens."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from pgmq_gateway.auth import signing
from pgmq_gateway.auth.apikeys import KeyRing
from pgmq_gateway.auth.signing import Signer
from pgmq_gateway.cli.manual import Commands
from pgmq_gateway.cli.options import DATA_DIR_VARIABLE, AsJson, Config, DataDir
from pgmq_gateway.cli.serve import sign_in_link, with_keys, with_secret
from pgmq_gateway.cli.statements import print_json
from pgmq_gateway.cli.urls import local_url, public_url
from pgmq_gateway.embedded.datadir import DEFAULT_NAME, DataDirectory, DataDirectoryError
from pgmq_gateway.http.request import PREFIX
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.settings.model import Settings, load_settings

# Not exported: the variable of many other programs, and only what signs tokens needs it.
SIGNING_SECRET = "JWT_SECRET"  # noqa: S105 a variable's name


def keys_command(
    dotenv: Annotated[bool, typer.Option("--dotenv", help="Print lines for a .env file.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Print the API's URL and keys, for a shell.

    \b
        eval "$(pgmq-gateway keys)"
        pgmq-gateway keys --dotenv > .env

    The shell then knows SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY for browsers and SUPABASE_SECRET_KEY for servers. With
    an embedded database the other commands find it from any folder. The secret key, the service_role key and
    JWT_SECRET give full access. The URL is that of PGRST_OPENAPI_SERVER_PROXY_URI, when set: the one that clients can
    reach.
    """
    settings = load_settings(config)
    directory = _embedded(settings, data_dir)
    if directory:
        settings = with_keys(with_secret(settings, directory))
    holder = directory and directory.holder()
    address = public_url(settings) or (holder and holder.url) or local_url(settings)
    found = {"SUPABASE_URL": address, **dict(_keys(settings))}
    if as_json:
        print_json(found)
        return
    if not dotenv:
        found |= _environment(directory)
    for name, value in found.items():
        exported = "" if dotenv or name == SIGNING_SECRET else "export "
        # `eval` must not execute a secret.
        print(f"{exported}{name}={shlex.quote(value)}")


def _environment(directory: DataDirectory | None) -> Mapping[str, str]:
    """Variables with which a shell in another folder finds this program and its database."""
    found = {DATA_DIR_VARIABLE: str(directory.path)} if directory else {}
    program = Path(sys.argv[0]).resolve()
    if (on_path := shutil.which(program.name)) is None or Path(on_path).resolve() != program:
        # At the end: a virtual environment must not replace the python of the shell.
        found["PATH"] = os.pathsep.join(filter(None, (os.environ.get("PATH", ""), str(program.parent))))
    return found


def _embedded(settings: Settings, data_dir: Path | None) -> DataDirectory | None:
    """The folder of the embedded database; None if `serve` would use another one. Raises DataDirectoryError."""
    if settings.db_uri is not None and data_dir is None:
        return None
    directory = DataDirectory(data_dir or DEFAULT_NAME)
    directory.require_database()
    return directory


def _keys(settings: Settings) -> Iterator[tuple[str, str]]:
    """The keys that a gateway with these settings accepts. Raises SettingsError if it cannot sign tokens."""
    signer, ring = Signer.of(settings), KeyRing.of(settings)
    anonymous, service = signing.api_key(signer, "anon"), signing.api_key(signer, "service_role")
    # Without keys of the new kind, those of the older kind are accepted in their place.
    yield "SUPABASE_PUBLISHABLE_KEY", next(iter(ring.publishable if ring else ()), anonymous)
    yield "SUPABASE_SECRET_KEY", next(iter(ring.secret.values() if ring else ()), service)
    yield "SUPABASE_ANON_KEY", anonymous
    yield "SUPABASE_SERVICE_ROLE_KEY", service
    assert settings.jwt_secret is not None
    yield SIGNING_SECRET, _on_one_line(settings.jwt_secret.get_secret_value())


def token_command(
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="The Postgres role of the bearer.")],
    sub: Annotated[str | None, typer.Option(metavar="ID", help="Claim sub: the user id, for policies.")] = None,
    claim: Annotated[list[str] | None, typer.Option(metavar="KEY=JSON", help="Another claim; can be repeated.")] = None,
    ttl: Annotated[str, typer.Option(metavar="DURATION", help="Lifetime: 90s, 15m, 1h, 30d.")] = "1h",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Print a signed token (JWT).

    To test policies, or for your own services.
    """
    claims = {**({"sub": sub} if sub is not None else {}), **dict(_claim(text) for text in claim or ())}
    try:
        lifetime = signing.lifetime_seconds(ttl)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ttl") from None
    settings = load_settings(config)
    if settings.jwt_secret is None and (directory := _embedded(settings, data_dir)):
        settings = with_secret(settings, directory)
    print(signing.token(Signer.of(settings), role, claims, lifetime))


def _claim(text: str) -> tuple[str, object]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise typer.BadParameter(f"{text} is not KEY=JSON", param_hint="--claim")
    try:
        return name, json.loads(value)
    except ValueError:
        raise typer.BadParameter(
            f"{value} is not JSON: a string needs quotes: {name}='\"…\"'", param_hint="--claim"
        ) from None


def _on_one_line(secret: str) -> str:
    """A secret for a dotenv line: JSON without line breaks."""
    try:
        document = json.loads(secret)
    except ValueError:
        return secret
    return json.dumps(document, separators=(",", ":")) if isinstance(document, dict) else secret


def dashboard_link_command(data_dir: DataDir = None, config: Config = None) -> None:
    """Print a link that signs in to the dashboard.

    Of the gateway that runs on the embedded database. The link works once, within an hour.
    """
    settings = load_settings(config)
    directory = _embedded(settings, data_dir)
    if directory is None:
        raise ServeError(
            "a gateway on a database of your own has no sign-in links: open the dashboard and sign in with a secret "
            "key or a service_role token; pgmq-gateway keys prints those that it accepts"
        )
    holder = directory.holder()
    if holder is None or not holder.serves:
        raise DataDirectoryError(f"no gateway serves {directory.path}: run pgmq-gateway serve first")
    if holder.url is None or holder.dashboard is None:
        raise ServeError(f"{holder} has no dashboard: start it again without --no-dashboard")
    key = signing.api_key(Signer.of(with_secret(settings, directory)), "service_role")
    _require_accepted(holder.url, key)
    print(sign_in_link(directory, holder.dashboard, key))


def _require_accepted(address: str, key: str) -> None:
    """Raise ServeError if the gateway verifies tokens with another secret."""
    # Imported here because the import is slow and only this command needs it.
    import httpx

    try:
        # Not through a proxy.
        with httpx.Client(trust_env=False) as client:
            status = client.get(f"{address}{PREFIX}/", headers={"apikey": key}).status_code
    except httpx.HTTPError as error:
        raise ServeError(f"the gateway at {address} does not respond: {error}") from None
    if status in (401, 403):
        raise ServeError(
            f"the gateway at {address} does not accept keys of this folder: run this with its PGRST_JWT_SECRET, "
            "or its --config"
        )


COMMANDS: Commands = {"keys": keys_command, "token": token_command}
LINKS: Commands = {"dashboard-link": dashboard_link_command}
