"""The database's connection string: its forms, its servers, and the parameters that the driver does not support."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg.conninfo import conninfo_to_dict

from pgmq_gateway.settings.address import Address, Keepalive
from pgmq_gateway.settings.conninfo import parameters
from tests.connection_strings import PUBLISHED


def servers(text: str) -> list[Mapping[str, str]]:
    """The parameters that the driver gets for each server."""
    return [dict(parse_qsl(urlsplit(uri).query)) for uri in Address.of(text).uris]


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("postgresql://u@a/db", [("a", None)]),
        ("postgresql://u@a:1,b:2/db", [("a", "1"), ("b", "2")]),
        ("postgresql:///db?host=a,b", [("a", None), ("b", None)]),
        ("postgresql:///db?host=a,b&port=1", [("a", "1"), ("b", "1")]),
        ("postgresql:///db?host=a,b&port=1,2", [("a", "1"), ("b", "2")]),
        ("postgresql:///db?host=a%2Cb", [("a", None), ("b", None)]),
        ("postgresql://[::1]:7/db", [("[::1]", "7")]),
        ("host=a,b port=1,2", [("a", "1"), ("b", "2")]),
        ("postgresql://", [(None, None)]),
        # The driver takes a standby only after it has tried all servers.
        ("postgresql://a,b/db?target_session_attrs=prefer-standby", [("a", None), ("b", None)]),
    ],
)
def test_each_server_has_a_uri(uri: str, found: list[tuple[str | None, str | None]]) -> None:
    assert [(server.get("host"), server.get("port")) for server in servers(uri)] == found


def test_timeouts_and_keepalive_are_not_passed_to_the_driver() -> None:
    address = Address.of("postgresql://a/db?connect_timeout=3&keepalives_idle=7&tcp_user_timeout=0")
    assert address == Address(["postgresql://?host=a&dbname=db"], 3, Keepalive(idle=7, user_timeout=0))


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u%40x:p%25+%2F@h:1/d%20b",
        # Special only to other parsers of URIs.
        "postgres://u:p#?:[@h/d",
        "postgresql://u@h/d?host=/run&options=-c%20a%3Db+c",
        "postgresql://[::1],b:7/",
        "postgresql://alex:AbC@ep-cool-1.aws.neon.tech/d?options=endpoint%3Dep-cool-1",
        "postgresql://@/?user=u&user=v",
        r"host=h user = 'a b' password='it\'s' port= 1",
        r"dbname=d password=a\ b host='' options='-c a=\\b'",
        "password=it's port=1",
        *PUBLISHED.values(),
    ],
)
def test_d5_strings_are_read_as_by_libpq(text: str) -> None:
    assert parameters(text) == {name: value for name, value in conninfo_to_dict(text).items() if value}


def test_d5_a_service_fills_what_the_string_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "services"
    file.write_text("[other]\nhost=x\n\n# comment\n[mine]\nhost=h\n#port=1\nuser=u\npassword=10%s%%\n[last]\nport=3\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert parameters("postgresql://?service=mine&user=me") == {"host": "h", "user": "me", "password": "10%s%%"}
    assert parameters("service=last") == {"port": "3"}
    with pytest.raises(ValueError, match=f"there is no service none in {file}"):
        Address.of("service=none")


@pytest.mark.parametrize(
    ("query", "mode", "system"),
    [
        ("ssl=true", "require", False),
        ("requiressl=1", "require", False),
        ("requiressl=1&sslmode=verify-full", "verify-full", False),
        ("requiressl=0&channel_binding=prefer", None, False),
        ("sslrootcert=system", "verify-full", True),
        ("sslmode=require&channel_binding=require", "verify-full", True),
        ("channel_binding=require&sslrootcert=/dev/null", "verify-full", False),
    ],
)
def test_d5_parameters_of_tls_become_a_mode(query: str, mode: str | None, *, system: bool) -> None:
    address = Address.of(f"postgresql://h/d?{query}")
    assert (servers(f"postgresql://h/d?{query}")[0].get("sslmode"), address.system_authorities) == (mode, system)


def test_d5_harmless_parameters_have_no_effect() -> None:
    harmless = (
        "gssencmode=prefer&load_balance_hosts=disable&fallback_application_name=x&application_name=y"
        "&client_encoding=auto&sslcompression=1&sslsni=1&channel_binding=disable&max_protocol_version=latest"
    )
    assert servers(f"postgresql://h/d?{harmless}") == [{"host": "h", "dbname": "d"}]


def test_d5_servers_are_tried_in_a_random_order() -> None:
    orders = {tuple(server["host"] for server in servers("host=a,b,c load_balance_hosts=random")) for _ in range(200)}
    assert len(orders) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("postgresql://a/db?connect_timeout=1.5", "connect_timeout must be a whole number, such as connect_timeout=10"),
        ("host=a port=65536", "a port is not between 1 and 65535"),
        ("host=a,b port=5432,0", "a port is not between 1 and 65535"),
        ("postgresql://a/db?keepalives_idle=32768", "keepalives_idle must be at most 32767"),
        ("postgresql://a/db?keepalives=2", "keepalives must be at most 1"),
        ("postgresql://a/db?tcp_user_timeout=2147483648", "tcp_user_timeout must be at most 2147483647"),
        ("postgresql://a/db?pgbouncer=true", "the gateway does not support the parameter pgbouncer: remove it"),
        ("postgresql://a/db?require_auth=none", "the gateway does not support the parameter require_auth: remove it"),
        ("postgresql://a/db?gssencmode=require", "the gateway supports gssencmode=disable and prefer and allow only"),
        ("postgresql://a/db?sslmode=require&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"),
        ("sslrootcert=system sslcert=/dev/null", "sslcert has no effect with the system's certificate authorities"),
        ("postgresql://a/db?sslrootcert=/nowhere/ca.pem", "cannot read /nowhere/ca.pem, the file of sslrootcert"),
        ("postgresql://a/db?x", "a parameter has no value"),
        ("postgresql://u:p@ss@h/d", "not a connection URI: percent-encode / and @"),
        ("postgresql://u:s3/cret@h/d", "a port is not a number: in the password, percent-encode"),
        ("postgresql://a:1,b:2/d?host=c", "1 hosts have 2 ports"),
        ("postgresql://a/d?options=%00", "a value contains a zero byte"),
        ("localhost:5432/db", "not a connection string: write postgresql://"),
        ("host=a password='open", "not a connection string: write postgresql://"),
    ],
)  # fmt: skip
def test_d5_other_strings_are_refused_in_one_line_without_values(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        Address.of(text)
    assert "s3" not in str(refused.value)
