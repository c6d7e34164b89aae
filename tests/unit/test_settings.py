"""Settings of a file, the environment and the command line: precedence, names and errors."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pgmq_gateway.settings.model import MASK, Settings, SettingsError, load_settings, without_effect

SECRET = "a secret that is only ever used in these tests"

Config = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PGRST_", "PGMQ_GATEWAY_")):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """config("db-pool = 1"): a file with this text."""

    def write(text: str) -> Path:
        path = tmp_path / "postgrest.conf"
        path.write_text(text)
        return path

    return write


def test_defaults() -> None:
    assert load_settings() == Settings()


def test_precedence_of_file_environment_and_command_line(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config('server-host = "::1"\nserver-port = 1\nadmin-server-port = 1')
    monkeypatch.setenv("PGRST_SERVER_PORT", "2")
    monkeypatch.setenv("PGRST_ADMIN_SERVER_PORT", "2")
    settings = load_settings(path, admin_server_port=3, server_host=None)
    assert (settings.server_host, settings.server_port, settings.admin_server_port) == ("::1", 2, 3)


def test_a_variable_names_the_file_and_the_command_line_another(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGMQ_GATEWAY_CONFIG", str(config("db-pool = 3")))
    assert load_settings().db_pool == 3
    other = tmp_path / "other.conf"
    other.write_text("db-pool = 4")
    assert load_settings(other).db_pool == 4
    monkeypatch.setenv("PGMQ_GATEWAY_CONFIG", "")
    assert load_settings().db_pool == 10


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ('db-uri = "postgres://x"', "db_uri", "postgres://x"),
        ('jwt-secret = "' + SECRET + '"', "jwt_secret", SECRET),
        ("db-channel-enabled = off", "db_channel_enabled", False),
        ('db-channel-enabled = "False"', "db_channel_enabled", False),
        ('db-pool = "5"', "db_pool", 5),
        ('db-schemas = "a, b"', "db_schemas", ("a", "b")),
        ('db-anon-role = ""', "db_anon_role", None),
        ('db-extra-search-path = ""', "db_extra_search_path", ()),
        ('db-max-rows = ""', "db_max_rows", None),
        ('db-schemas = ""', "db_schemas", ("public", "pgmq_public", "pgmq_api", "pgmq_admin")),
        ('pgmq-gateway-secret-keys = "a=b"', "secret_keys", ("a=b",)),
        ("pgmq-gateway-key-layer = off", "key_layer", False),
        ('app.settings.a = "x"', "app_settings", (("app.settings.a", "x"),)),
        ('db-schema = "a"', "db_schemas", ("a",)),
        ("secret-is-base64 = true", "jwt_secret_is_base64", True),
        ('role-claim-key = ".a"', "jwt_role_claim_key", ".a"),
        ('pre-request = "f"', "db_pre_request", "f"),
        ("max-rows = 7", "db_max_rows", 7),
        ('server-proxy-uri = "http://x"', "openapi_server_proxy_uri", "http://x"),
    ],
)
def test_file_and_environment_have_the_same_names(
    config: Config, monkeypatch: pytest.MonkeyPatch, line: str, field: str, value: object
) -> None:
    path = config(line)
    expected = Settings.model_validate({field: value})
    assert load_settings(path) == expected
    assert without_effect(path) == []
    name, _, text = line.partition(" = ")
    upper = name.replace("app.settings.", "APP_SETTINGS_").replace("-", "_").upper()
    variable = upper if upper.startswith("PGMQ_GATEWAY_") else f"PGRST_{upper}"
    monkeypatch.setenv(variable.replace("SETTINGS_A", "SETTINGS_a"), text.strip('"'))
    assert load_settings() == expected
    assert without_effect() == []


def test_a_current_name_takes_precedence_over_an_older_one(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config("db-max-rows = 1\nmax-rows = 2")
    monkeypatch.setenv("PGRST_MAX_ROWS", "3")
    assert load_settings(path).db_max_rows == 1


def test_application_settings_of_file_and_environment_are_merged(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config('app.settings.a = "file"\napp.settings.b = 1')
    monkeypatch.setenv("PGRST_APP_SETTINGS_a", "environment")
    monkeypatch.setenv("PGRST_APP_SETTINGS_c.d", "")
    expected = {"app.settings.a": "environment", "app.settings.b": "1", "app.settings.c.d": ""}
    assert dict(load_settings(path).app_settings) == expected


def test_a_secret_and_a_uri_can_be_read_from_files(config: Config, tmp_path: Path) -> None:
    for name, content in (("secret", SECRET + "\n"), ("uri", "postgres://x \r\n")):
        (tmp_path / name).write_text(content)
    settings = load_settings(config(f'jwt-secret = "@{tmp_path}/secret"\ndb-uri = "@{tmp_path}/uri"'))
    assert settings.jwt_secret is not None
    assert settings.db_uri is not None
    assert (settings.jwt_secret.get_secret_value(), settings.db_uri.get_secret_value()) == (SECRET, "postgres://x")


def test_a_secret_file_must_be_utf8(config: Config, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff" * 32)
    with pytest.raises(SettingsError, match=rf": jwt-secret: {tmp_path}/secret is not text in UTF-8"):
        load_settings(config(f'jwt-secret = "@{tmp_path}/secret"'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\ndb-pool = 0", "{}:2: db-pool: must be 1 or more"),
        ('db-schema = "pg_catalog"', "{}:1: db-schema: pg_catalog must not be exposed"),
        ('db-schema = "pgmq_settings"', "{}:1: db-schema: pgmq_settings must not be exposed"),
        ('db-channel = "pgmq_gateway"', "{}:1: db-channel: pgmq_gateway is the channel of wake-ups between gateways"),
        ('db-schemas = ","', "{}:1: db-schemas: no schema is exposed: name at least one"),
        ('jwt-secret = "s3cret"', "{}:1: jwt-secret: the secret has 6 bytes and needs at least 32"),
        ('app.settings.ok = 1\napp.settings.a-b = "s3cret"', "{}:2: app.settings.a-b: Postgres accepts only letters"),
        ('log-level = "s3cret"', "{}:1: log-level: must be 'crit'"),
        (
            "db-uri = s3cret",
            "{}:1: the value of db-uri is neither a number nor true or false: write it in double quotes",
        ),
        (
            f'db-uri = "postgres://x:{MASK}@y"',
            "{}:1: db-uri: ******** is what --dump-config prints in place of a secret",
        ),
        (f'jwt-secret = "{MASK}"', "{}:1: jwt-secret: ******** is what --dump-config prints"),
        (
            f'pgmq-gateway-secret-keys = "default={MASK}"',
            "{}:1: pgmq-gateway-secret-keys: ******** is what --dump-config prints",
        ),
        ('pgmq-gateway-rate-limits = "anon=1/s, s3cret"', "{}:1: pgmq-gateway-rate-limits: limit 2 is malformed: "),
        ('pgmq-gateway-trusted-proxies = "10.0.0.1/8"', "{}:1: pgmq-gateway-trusted-proxies: 10.0.0.1/8 has host bits"),
        ('pgmq-gateway-trusted-proxies = "::1, proxy"', "{}:1: pgmq-gateway-trusted-proxies: 'proxy' does not appear"),
        ('jwt-aud = "not a uri: this"', "{}:1: jwt-aud: 'not a uri: this' has a colon and is not a URI: "),
        ('jwt-aud = "https://example.org/%zz"', "{}:1: jwt-aud: 'https://example.org/%zz' has a colon"),
        ('jwt-role-claim-key = "role"', "{}:1: jwt-role-claim-key: 'role' is not part of a path: write .role or "),
        ('openapi-server-proxy-uri = "example.com"', "{}:1: openapi-server-proxy-uri: 'example.com' is not the URL"),
        ('openapi-server-proxy-uri = "ftp://x/"', "{}:1: openapi-server-proxy-uri: 'ftp://x/' is not the URL"),
        ('openapi-server-proxy-uri = "http:///x"', "{}:1: openapi-server-proxy-uri: 'http:///x' is not the URL"),
        ('openapi-server-proxy-uri = "http://x:0"', "{}:1: openapi-server-proxy-uri: 'http://x:0' is not the URL"),
        ('openapi-server-proxy-uri = "http://x:66000"', "{}:1: openapi-server-proxy-uri: 'http://x:66000' is not"),
        ('openapi-server-proxy-uri = "http://x/a b"', "{}:1: openapi-server-proxy-uri: 'http://x/a b' is not the URL"),
        ('openapi-server-proxy-uri = "http://x/?a"', "{}:1: openapi-server-proxy-uri: 'http://x/?a' is not the URL"),
        ('pgmq-gateway-reuse-port = "s3cret"', "{}:1: pgmq-gateway-reuse-port: must be true or false"),
        (f'app.settings.a = "{MASK}"', "{}:1: app.settings.a: ******** is what --dump-config prints"),
    ],
)
def test_an_error_in_the_file_names_file_and_line(config: Config, text: str, message: str) -> None:
    path = config(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(caught.value).startswith(message.format(path))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("audience", ["my app", "https://example.org/é".replace("é", "%C3%A9"), "urn:a:b", "a/b?c"])
def test_w18_an_audience_is_any_text_or_a_uri(audience: str) -> None:
    assert load_settings(jwt_aud=audience).jwt_aud == audience


@pytest.mark.parametrize("url", ["https://example.com:8443/basePath", "http://[::1]:3000/", "http://h"])
def test_w18_the_api_has_a_url(url: str) -> None:
    assert load_settings(openapi_server_proxy_uri=url).openapi_server_proxy_uri == url


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("server-port = 4000\nadmin-server-port = 4000", "{}:2: admin-server-port: 4000"),
        # The default of the other one.
        ("server-port = 3001", "PGRST_ADMIN_SERVER_PORT: 3001"),
        ("admin-server-port = 3000", "{}:1: admin-server-port: 3000"),
        # As in PostgREST, the hosts do not matter.
        ('server-port = 3001\nserver-host = "127.0.0.2"', "PGRST_ADMIN_SERVER_PORT: 3001"),
    ],
)
def test_api_and_admin_server_need_different_ports(config: Config, text: str, place: str) -> None:
    path = config(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(caught.value) == (
        f"{place.format(path)} is also the API's port, PGRST_SERVER_PORT: set another port, or 0 for any free port "
        "(--port, --admin-port)"
    )


def test_both_ports_can_be_0() -> None:
    settings = load_settings(server_port=0, admin_server_port=0)
    assert (settings.server_port, settings.admin_server_port) == (0, 0)


def test_an_error_in_the_environment_names_the_variable(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config("db-pool = 1\nserver-port = 1")
    with pytest.raises(SettingsError, match=r"^PGRST_SERVER_PORT: "):
        load_settings(path, server_port=-1)
    monkeypatch.setenv("PGRST_DB_POOL", "0")
    with pytest.raises(SettingsError, match=r"^PGRST_DB_POOL: "):
        load_settings(path)
    monkeypatch.setenv("PGMQ_GATEWAY_SECRET_KEYS", "x")
    monkeypatch.delenv("PGRST_DB_POOL")
    with pytest.raises(
        SettingsError, match=r"^PGMQ_GATEWAY_SECRET_KEYS: a key has no name: write each one as name=key"
    ):
        load_settings(path)


def test_d13_an_ipv6_address_may_have_brackets(config: Config) -> None:
    settings = load_settings(config('server-host = "[::1]"\nadmin-server-host = "[fe80::1%lo]"'))
    assert (settings.server_host, settings.admin_server_host) == ("::1", "fe80::1%lo")


def test_settings_without_effect_are_reported_as_written(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config('root-spec = "f"\nlog-query = on\nfoo.bar = 1\npgmq-gateway-x = 1\nmax-rows = 1')
    monkeypatch.setenv("PGRST_LOG_QUERY", "true")
    monkeypatch.setenv("PGRST_APP_SETTINGS", "x")
    # Kubernetes sets such variables for a service of this name.
    monkeypatch.setenv("PGMQ_GATEWAY_SERVICE_HOST", "10.0.0.1")
    names = ["PGRST_APP_SETTINGS", "PGRST_LOG_QUERY", "foo.bar", "log-query", "pgmq-gateway-x", "root-spec"]
    assert without_effect(path) == names


@pytest.mark.parametrize(
    ("file", "environment", "database", "rows"),
    [
        (1, 2, 3, 3),
        (1, 2, None, 2),
        (1, None, 3, 3),
        (1, None, None, 1),
        (None, 2, 3, 3),
        # As in PostgREST, an empty value is the default.
        (1, 2, "", None),
    ],
)
def test_d6_the_database_takes_precedence_over_the_environment_and_that_over_the_file(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    file: int | None,
    environment: int | None,
    database: int | str | None,
    rows: int | None,
) -> None:
    # An older name does not take precedence over the place.
    path = config(f"max-rows = {file}" if file else "")
    if environment:
        monkeypatch.setenv("PGRST_DB_MAX_ROWS", str(environment))
    pairs = () if database is None else (("pgrst.db_max_rows", str(database)),)
    assert load_settings(path, pairs).db_max_rows == rows


def test_d6_other_settings_of_the_database_are_named(config: Config) -> None:
    pairs = (
        ("pgrst.db_config", "false"),
        ("pgrst.db_root_spec", "root"),
        ("pgrst.db_schemas", "tenants"),
        ("pgrst.db_uri", "postgresql://elsewhere"),
        ("pgrst.pgmq_gateway_max_body", "1"),
        ("pgrst.server_port", "1"),
    )
    settings = load_settings(config(""), pairs)
    assert (settings.db_schemas, settings.db_config, settings.db_uri) == (("tenants",), True, None)
    assert (settings.server_port, settings.max_body) == (3000, 16 * 1024 * 1024)
    assert without_effect(config(""), pairs) == [name for name, _ in pairs if name != "pgrst.db_schemas"]


def test_d6_a_wrong_setting_of_the_database_is_named_without_its_value(config: Config) -> None:
    with pytest.raises(SettingsError, match=r"^pgrst\.jwt_secret in the database: the secret has 6 bytes") as refused:
        load_settings(config(""), (("pgrst.jwt_secret", "s3cret"),))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("db-pool-automatic-recovery = true", False),
        ('db-pool-automatic-recovery = "True"', False),
        ("db-pool-automatic-recovery = 1", False),
        ("db-pool-automatic-recovery = false", True),
        ("db-prepared-statements = false", False),
        ("db-aggregates-enabled = false", False),
        ("db-aggregates-enabled = true", True),
        ("db-pool-timeout = 30", False),
        ("db-pool-timeout = 3600", True),
        ("db-plan-enabled = false", False),
        ('server-unix-socket = ""', False),
        ('server-unix-socket = "/tmp/x"', True),
    ],
)
def test_values_of_the_default_behaviour_are_not_reported(config: Config, line: str, named: bool) -> None:
    assert without_effect(config(line)) == ([line.partition(" = ")[0]] if named else [])
