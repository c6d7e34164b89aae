"""The output of --dump-config: a valid file without secrets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgmq_gateway.settings.configfile import parse
from pgmq_gateway.settings.dump import dump, masked
from pgmq_gateway.settings.model import EMPTY_ALLOWED, FIELDS, MASK, Settings

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
INTERNAL_SCHEMAS = {"pgmq_gateway", "pgmq_settings", "pg_catalog", "information_schema"}  # never exposed
NAMES = st.lists(TEXTS.filter(lambda text: "," not in text and text == text.strip()), min_size=1).map(tuple)


def read(settings: Settings) -> dict[str, Any]:
    """The values of the fields in a printed configuration, as `load_settings` reads them."""
    values = {FIELDS[entry.name]: entry.value for entry in parse(dump(settings), {})}
    return {field: value for field, value in values.items() if value != "" or field in EMPTY_ALLOWED}


def test_round_trip_of_the_defaults() -> None:
    assert Settings(**read(Settings())) == Settings()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "db_schemas": NAMES.filter(lambda names: not INTERNAL_SCHEMAS & set(names)),
            "db_anon_role": st.none() | TEXTS,
            "db_extra_search_path": st.just(()) | NAMES,
            "db_pool": st.integers(min_value=1),
            "db_pool_acquisition_timeout": st.floats(
                min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False
            ),
            "db_max_rows": st.none() | st.integers(min_value=1),
            "db_tx_end": st.sampled_from(["commit", "rollback-allow-override"]),
            "db_plan_enabled": st.booleans(),
            "db_hoisted_tx_settings": st.just(()) | NAMES,
            "jwt_role_claim_key": TEXTS.map(lambda text: f'."{text.replace(chr(34), chr(39))}"'),
            "server_trace_header": st.none() | TEXTS,
            "publishable_keys": st.just(()) | NAMES,
            "key_layer": st.none() | st.booleans(),
        },
    )
)
def test_round_trip(values: dict[str, Any]) -> None:
    settings = Settings(**values)
    assert Settings(**read(settings)) == settings


def test_secrets_are_masked_and_names_are_not() -> None:
    settings = Settings.model_validate(
        {
            "db_uri": "postgres://user:s3cret@host/db",
            "jwt_secret": "s3cret" * 6,
            "secret_keys": "one=s3cret,two=s3cret",
            "publishable_keys": "sb_publishable_x",
            "app_settings": (("app.settings.key", "s3cret"), ("app.settings.none", "")),
        }
    )
    lines = dump(settings).splitlines()
    assert lines == sorted(lines)
    assert "s3cret" not in dump(settings)
    assert {
        f'db-uri = "postgres://user:{MASK}@host/db"',
        f'jwt-secret = "{MASK}"',
        f'pgmq-gateway-secret-keys = "one={MASK},two={MASK}"',
        'pgmq-gateway-publishable-keys = "sb_publishable_x"',
        f'app.settings.key = "{MASK}"',
        'app.settings.none = ""',
    } <= set(lines)


def test_a_comment_states_that_the_embedded_database_is_used() -> None:
    first, *_ = dump(Settings()).splitlines()
    assert first.startswith("# The embedded database is used")
    assert 'db-uri = ""' in dump(Settings())


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("postgres://host/db", "postgres://host/db"),
        ("postgres://user@host:5432/db", "postgres://user@host:5432/db"),
        ("postgres://user@host:5432/db?options=a", "postgres://user@host:5432/db?options=a"),
        ("postgres://user:s3cret@host:5432/db", f"postgres://user:{MASK}@host:5432/db"),
        ("postgres://:s3cret@/db", f"postgres://:{MASK}@/db"),
        ("postgres://user:s3c@s3cret/s3cret?@host/db", f"postgres://user:{MASK}@host/db"),
        ("postgres://user:s3c\ns3cret@host/db", f"postgres://user:{MASK}@host/db"),
        ("postgres://h/d?user=u&password=s3cret&x=y", f"postgres://h/d?user=u&password={MASK}&x=y"),
        ("postgres://h/d?PassWord=s3cret", f"postgres://h/d?PassWord={MASK}"),
        ("postgres://u:s3cret@h/d?sslpassword=s3cret", f"postgres://u:{MASK}@h/d?sslpassword={MASK}"),
        ("host=h password=s3cret&s3cret dbname=d", f"host=h password={MASK} dbname=d"),
        ("host=h password = 's3cret \\' s3cret' dbname=d", f"host=h password = {MASK} dbname=d"),
        ("password='s3cret s3cret", f"password={MASK}"),
        (r"password=s3cret\ s3cret user=u", f"password={MASK} user=u"),
        ("s3cret", MASK),
    ],
)
def test_a_connection_string_has_its_passwords_masked(uri: str, expected: str) -> None:
    assert masked(uri) == expected


@given(TEXTS)
def test_the_password_of_a_uri_is_masked(password: str) -> None:
    assert masked(f"postgres://user:{password}@host/db") == f"postgres://user:{MASK}@host/db"
