"""Published connection strings lead to a connection, or to one line that says why not."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from pgmq_gateway.database.connector import connect
from pgmq_gateway.embedded.cluster import socket_folder
from pgmq_gateway.embedded.datadir import DataDirectory
from pgmq_gateway.http.sockets import ServeError
from pgmq_gateway.process.preflight import preflight
from pgmq_gateway.settings.conninfo import parameters
from pgmq_gateway.settings.model import Settings
from tests.connection_strings import PUBLISHED
from tests.server import SECRET

Local = Callable[..., str]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate of localhost, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(signed.public_bytes(Encoding.PEM) + private)
    return file


@pytest.fixture
def local(directory: DataDirectory, certificate: Path) -> Local:
    """A connection string with the servers, user and database of this machine in place of its own."""

    def change(text: str, **servers: str) -> str:
        given = {"host": str(socket_folder(directory)), "port": "5432", **servers}
        others = {"user": "authenticator", "dbname": "postgres"}
        changed = {**parameters(text.replace("sslrootcert=CA", f"sslrootcert={certificate}")), **given, **others}
        return make_conninfo(**changed)

    return change


@pytest.fixture
async def tls(directory: DataDirectory, certificate: Path) -> AsyncIterator[str]:
    """The port on localhost of a server that requires TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # SSLRequest, and that it is granted.
        await reader.readexactly(8)
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except OSError:
            return
        theirs = await asyncio.open_unix_connection(socket_folder(directory) / ".s.PGSQL.5432")
        await asyncio.gather(forward(reader, theirs[1]), forward(theirs[0], writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield str(server.sockets[0].getsockname()[1])
    server.close()


@pytest.mark.parametrize("provider", PUBLISHED)
async def test_d5_published_strings_connect(provider: str, local: Local) -> None:
    connection = await connect(local(PUBLISHED[provider]))
    assert await connection.fetchval("select current_user") == "authenticator"
    await connection.close()


@pytest.mark.parametrize("provider", ["Neon", "RDS", "Heroku, with TLS"])
async def test_d5_strings_that_require_tls_connect(
    provider: str, local: Local, tls: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The certificate authorities of the system.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    connection = await connect(local(PUBLISHED[provider], host="localhost", port=tls))
    assert await connection.fetchval("select current_user") == "authenticator"
    await connection.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # The driver has no channel binding, which must not be silently left out.
        (PUBLISHED["Neon"], "the certificate of the server of PGRST_DB_URI cannot be verified: self-signed"),
        ("sslmode=disable options='-c nosuch=1'", "the database rejects a parameter of PGRST_DB_URI: unrecognized"),
        ("sslmode=disable options='endpoint=x'", "the database rejects a parameter of PGRST_DB_URI: invalid"),
    ],
)
async def test_d5_other_strings_fail_at_the_start(text: str, message: str, local: Local, tls: str) -> None:
    servers = {} if "sslmode=disable" in text else {"host": "localhost", "port": tls}
    settings = Settings(db_uri=SecretStr(local(text, **servers)), jwt_secret=SecretStr(SECRET))
    with pytest.raises(ServeError, match=message):
        await preflight(settings)
