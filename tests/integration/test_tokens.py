"""Tokens: which are refused and in which words, and which role and claims the others give."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Sql
from tests.integration.conftest import Grant, Serve, error, refusal
from tests.server import SECRET

Send = Callable[..., httpx.Response]

HEADER = {"alg": "HS256", "typ": "JWT"}
HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
NO_KEY = ("No suitable key or wrong key type", "No suitable key was found to decode the JWT")
NO_SIGNATURE = ("No suitable key or wrong key type", "None of the keys was able to decode the JWT")
NO_ALGORITHM = ("Wrong or unsupported encoding algorithm", "JWT is unsecured but expected 'alg' was not 'none'")
BROKEN = ("JWT cryptographic operation failed", None)
UNREADABLE = ("Parsing claims failed", None)


def encoded(part: object) -> str:
    """A part of a token: JSON of anything, text and bytes as they are, in URL-safe base64 without padding."""
    text = part if isinstance(part, str | bytes) else json.dumps(part)
    data = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def made(claims: object, header: object = HEADER, secret: str = SECRET) -> str:
    """A token with these claims and this header, signed with the secret by the header's hash."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    name = HASHES.get(str(header.get("alg")) if isinstance(header, dict) else "", "sha256")
    return f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), name))}"


def for_role(**claims: object) -> str:
    """A token of an authenticated user with more claims."""
    return made({"role": "authenticated", **claims})


def challenge(message: str) -> str:
    """What WWW-Authenticate says of a token that is refused."""
    return f'Bearer error="invalid_token", error_description="{message}"'


def invalid(answer: httpx.Response, code: str, message: str, details: str | None = None) -> None:
    """Assert that a token was refused, in exactly these words."""
    body = {"code": code, "details": details, "hint": None, "message": message}
    assert (answer.status_code, error(answer)) == (401, body)
    assert answer.headers["www-authenticate"] == challenge(message)


@pytest.fixture
def send(api: httpx.Client, queue: str, grant: Grant, no_rls: None) -> Send:  # noqa: ARG001
    """send(token) tries to store a message that anon and authenticated may store; send(X="…") with these headers."""
    grant("anon", "send")
    grant("authenticated", "send")

    def post(token: str | None = None, **headers: str) -> httpx.Response:
        sent = headers if token is None else {"Authorization": f"Bearer {token}", **headers}
        body = {"queue_name": queue, "message": 1}
        return api.post("/rpc/send", json=body, headers={name.encode(): value.encode() for name, value in sent.items()})

    return post


@pytest.fixture
def nothing_stored(queue: str, sql: Sql) -> Iterator[None]:
    """That the test leaves its queue empty, although everybody may send to it."""
    yield
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(0,)]


@pytest.fixture
def one_stored(queue: str, sql: Sql) -> Iterator[None]:
    """That the test leaves one message in its queue."""
    yield
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(1,)]


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    ("claim", "offset", "message"),
    [
        ("exp", -40, "JWT expired"),
        ("exp", -86400, "JWT expired"),
        ("nbf", 90, "JWT not yet valid"),
        ("nbf", 86400, "JWT not yet valid"),
        ("iat", 90, "JWT issued at future"),
        ("iat", 86400.5, "JWT issued at future"),
    ],
)
def test_a_token_out_of_its_time_is_refused(send: Send, claim: str, offset: float, message: str) -> None:
    invalid(send(for_role(**{claim: time.time() + offset})), "PGRST303", message)


@pytest.mark.usefixtures("one_stored")
@pytest.mark.parametrize(("claim", "offset"), [("exp", -15), ("nbf", 29), ("iat", 29), ("exp", 15), ("nbf", -60)])
def test_clocks_may_differ_by_half_a_minute(send: Send, claim: str, offset: int) -> None:
    assert send(for_role(**{claim: int(time.time()) + offset})).status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"exp": 1, "nbf": 1e11, "iat": 1e11, "aud": 1}, "JWT expired"),
        ({"nbf": 1e11, "iat": 1e11, "aud": 1}, "JWT not yet valid"),
        ({"iat": 1e11, "aud": 1}, "JWT issued at future"),
        ({"aud": 1, "role": "ghost"}, "The JWT 'aud' claim must be a string or an array of strings"),
    ],
)
def test_claims_are_judged_in_order(send: Send, claims: dict[str, Any], message: str) -> None:
    invalid(send(for_role(**claims)), "PGRST303", message)


@pytest.mark.usefixtures("one_stored")
@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"exp": None, "nbf": None, "iat": None, "aud": None},
        {"exp": 99999999999},
        {"exp": 99999999999.5},
        {"nbf": -1},
    ],
)
def test_a_token_without_an_end_is_good_for_ever(send: Send, claims: dict[str, Any]) -> None:
    assert send(for_role(**claims)).status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["99999999999", "", True, [99999999999], {"n": 1}])
def test_a_time_must_be_a_number(send: Send, claim: str, value: object) -> None:
    invalid(send(for_role(**{claim: value})), "PGRST303", f"The JWT '{claim}' claim must be a number")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("number", ["-1", "-99999999999", "-1e309", "0", "0.0", "1e-400"])
def test_a_time_long_gone_is_in_the_past(send: Send, number: str) -> None:
    invalid(send(made(f'{{"role": "authenticated", "exp": {number}}}')), "PGRST303", "JWT expired")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a_time_beyond_all_numbers_is_refused(send: Send, claim: str) -> None:
    answer = send(made(f'{{"role": "authenticated", "{claim}": 1e309}}'))
    status, code, message = refusal(answer)
    assert (status, code) == (401, "PGRST303")
    assert answer.headers["www-authenticate"] == challenge(message)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "claims",
    [
        '["role", "authenticated"]', '"authenticated"', "1", "null", "true", "", "{", '{"role": "authenticated"', "\0",
        '{"role": "authenticated"} {}', "{'role': 'authenticated'}", '\ufeff{"role": "authenticated"}',
        '{"role": "authenticated", "exp": NaN}', '{"role": "authenticated", "exp": Infinity}',
        '{"role": "authenticated", "exp": -Infinity}', '{"role": "authenticated", "sub": "\n"}',
    ],
)  # fmt: skip
def test_claims_that_are_no_json_object_are_refused(send: Send, claims: str) -> None:
    invalid(send(made(claims)), "PGRST303", *UNREADABLE)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("claims", [b'{"role": "authenticated", "sub": "\xff"}', b"\xff\xfe{\0}\0"])
def test_claims_that_are_not_utf8_are_refused(send: Send, claims: bytes) -> None:
    answer = send(made(claims))
    status, code, message = refusal(answer)
    assert (status, code) in [(401, "PGRST301"), (401, "PGRST303")]
    assert answer.headers["www-authenticate"] == challenge(message)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("secret", ["another secret that is long enough to be one", SECRET.upper(), SECRET[:-1], ""])
def test_a_token_signed_with_another_secret_is_refused(send: Send, secret: str) -> None:
    invalid(send(made({"role": "authenticated"}, secret=secret)), "PGRST301", *NO_SIGNATURE)


@pytest.mark.usefixtures("nothing_stored")
def test_claims_changed_after_signing_are_refused(send: Send) -> None:
    header, _, signature = for_role().split(".")
    forged = f"{header}.{encoded({'role': 'service_role'})}.{signature}"
    invalid(send(forged), "PGRST301", *NO_SIGNATURE)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("change", [lambda s: s[:-4], lambda s: s[:20], lambda _: "", lambda s: s + "AAAA"])
def test_a_signature_cut_short_or_too_long_is_refused(send: Send, change: Callable[[str], str]) -> None:
    head, _, signature = for_role().rpartition(".")
    answer = send(f"{head}.{change(signature)}")
    status, code, message = refusal(answer)
    assert (status, code) == (401, "PGRST301")
    assert message in {NO_SIGNATURE[0], BROKEN[0]}
    assert answer.headers["www-authenticate"] == challenge(message)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("signature", ["", "AAAA", None])
def test_an_unsecured_token_is_refused(send: Send, signature: str | None) -> None:
    token = made({"role": "service_role"}, {"alg": "none", "typ": "JWT"})
    if signature is not None:
        token = f"{token.rpartition('.')[0]}.{signature}"
    invalid(send(token), "PGRST301", *NO_ALGORITHM)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "algorithm", ["None", "NONE", "nOnE", "", "none ", "HS512", "HS384", "RS256", "ES256", "EdDSA", "hs256", "HS256 "]
)
@pytest.mark.parametrize("signed", [True, False])
def test_another_algorithm_is_refused(send: Send, algorithm: str, signed: bool) -> None:
    token = made({"role": "service_role"}, {"alg": algorithm, "typ": "JWT"})
    invalid(send(token if signed else f"{token.rpartition('.')[0]}."), "PGRST301", *NO_KEY)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("kid", ["a", "../../dev/null", "'; drop table pgmq.meta; --", "x" * 1000])
def test_a_key_id_without_a_match_is_refused(send: Send, kid: str) -> None:
    invalid(send(made({"role": "authenticated"}, {**HEADER, "kid": kid})), "PGRST301", *NO_KEY)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"}, {**HEADER, "kid": ["a"]}, {**HEADER, "kid": None}, {**HEADER, "kid": 1}, {"alg": None},
        {"alg": ["HS256"]}, {"alg": {"HS256": 1}}, {**HEADER, "crit": ["exp"]}, {**HEADER, "crit": ["exp"], "exp": 1},
        {**HEADER, "crit": ["b64"], "b64": False}, {**HEADER, "x5u": "http://127.0.0.1:9/", "crit": ["x5u"]},
        ["HS256"], "HS256", "{", b"\xff",
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_is_not_understood_is_refused(send: Send, header: object) -> None:
    answer = send(made({"role": "authenticated"}, header))
    status, code, message = refusal(answer)
    assert (status, code) == (401, "PGRST301")
    assert message in {NO_KEY[0], BROKEN[0]}
    assert answer.headers["www-authenticate"] == challenge(message)


@pytest.mark.usefixtures("one_stored")
def test_addresses_of_keys_in_the_header_are_not_looked_at(send: Send) -> None:
    header = {**HEADER, "jku": "http://127.0.0.1:9/", "x5u": "file:///etc/passwd", "jwk": {"kty": "oct", "k": "AAAA"}}
    assert send(made({"role": "authenticated"}, header)).status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(("token", "parts"), [("x", 1), ("a.b", 2), ("a.b.c.d", 4), ("a.b.c.d.e", 5), (".", 2)])
def test_a_token_has_three_parts(send: Send, token: str, parts: int) -> None:
    invalid(send(token), "PGRST301", f"Expected 3 parts in JWT; got {parts}")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("token", ["a.b.c", "..", "é.é.é", "a b.c d.e f", "%.%.%", f"{encoded(HEADER)}.!.!", "=.=.="])
def test_three_meaningless_parts_are_refused(send: Send, token: str) -> None:
    invalid(send(token), "PGRST301", *BROKEN)


@pytest.mark.usefixtures("nothing_stored")
def test_bearer_with_nothing_is_refused(send: Send) -> None:
    invalid(send(Authorization="Bearer"), "PGRST301", "Empty JWT is sent in Authorization header")


@pytest.mark.usefixtures("one_stored")
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_has_no_case(send: Send, scheme: str, queue: str, sql: Sql) -> None:
    sql(f"revoke all on pgmq.q_{queue} from anon")
    assert send(Authorization=f"{scheme} {for_role()}").status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "value", ["Basic dXNlcjpwYXNz", "Digest {token}", "{token}", "Bearer{token}", "Bearer\t{token}", ""]
)
def test_another_scheme_is_as_no_token(send: Send, value: str, queue: str, sql: Sql) -> None:
    sql(f"revoke all on pgmq.q_{queue} from anon")
    answer = send(Authorization=value.format(token=for_role()))
    assert refusal(answer) == (401, "42501", f"permission denied for table q_{queue}")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("nothing_stored")
def test_the_first_of_two_authorization_headers_counts(api: httpx.Client, queue: str, send: Send) -> None:
    assert send("a.b").status_code == 401
    good, bad = (("Authorization", f"Bearer {token}") for token in (for_role(), "a.b"))
    body = {"queue_name": queue, "message": 1, "sleep_seconds": "x"}
    profile = ("Content-Profile", "pgmq_public")
    invalid(
        api.post("/rpc/send", json=body, headers=[bad, good, profile]), "PGRST301", "Expected 3 parts in JWT; got 2"
    )
    # The arguments are wrong, so that this call gets past the token and no further.
    assert error(api.post("/rpc/send", json=body, headers=[good, bad, profile]))["code"] == "22P02"


@pytest.fixture
def for_audience(serve: Serve, send: Send, api: httpx.Client) -> Send:
    """send() to a gateway that wants the audience `queues`."""
    api.base_url = httpx.URL(serve("postgres", PGRST_JWT_AUD="queues").url)
    return send


@pytest.mark.parametrize("audience", [None, [], "queues", ["queues"], ["other", "queues"]])
@pytest.mark.usefixtures("one_stored")
def test_an_audience_that_fits_or_is_not_named_passes(for_audience: Send, audience: object) -> None:
    assert for_audience(for_role(aud=audience)).status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("audience", ["other", ["other"], "", [""], "queues ", "Queues", "queue", ["a", "b"]])
def test_another_audience_is_refused(for_audience: Send, audience: object) -> None:
    invalid(for_audience(for_role(aud=audience)), "PGRST303", "JWT not in audience")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("audience", [1, True, {"queues": 1}, ["queues", 1], [["queues"]], [None]])
def test_an_audience_is_a_string_or_an_array_of_strings(send: Send, audience: object) -> None:
    message = "The JWT 'aud' claim must be a string or an array of strings"
    invalid(send(for_role(aud=audience)), "PGRST303", message)


@pytest.mark.usefixtures("one_stored")
@pytest.mark.parametrize("audience", ["anything", ["a", "b"]])
def test_without_a_configured_audience_any_passes(send: Send, audience: object) -> None:
    assert send(for_role(aud=audience)).status_code == 200


@pytest.mark.usefixtures("one_stored")
def test_a_token_without_a_role_is_anonymous(send: Send, queue: str, sql: Sql) -> None:
    sql(f"revoke all on pgmq.q_{queue} from authenticated")
    assert send(made({"sub": "ann"})).status_code == 200
    sql(f"revoke all on pgmq.q_{queue} from anon")
    answer = send(made({"sub": "ann"}))
    assert refusal(answer)[:2] == (401, "42501")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "role",
    [
        "ghost", "", "none", "None", "x" * 63, 'auth"enticated', "auth'enticated",
        '"authenticated"', "authenticated ", "AUTHENTICATED", "authenticated, anon", "anon; drop table pgmq.meta", "å",
        "日本", "default", "public", "current_user", "session_user",
    ],
)  # fmt: skip
def test_a_role_that_does_not_exist_is_refused(send: Send, role: str) -> None:
    answer = send(made({"role": role}))
    body = {"code": "22023", "details": None, "hint": None, "message": f'role "{role}" does not exist'}
    assert (answer.status_code, error(answer)) == (401, body)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "role", ['"a\\u0000b"', '"\\ud800"', f'"{"x" * 100}"', '"a\\nb"', '"\\u0000"', "5", "true", "null", "[]", "{}"]
)
def test_a_role_that_can_be_none_is_refused(send: Send, role: str) -> None:
    answer = send(made(f'{{"role": {role}}}'))
    status, code, message = refusal(answer)
    assert (status, code) == (401, "22023")
    assert message.startswith('role "')
    assert message.endswith('" does not exist')
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("role", ["postgres", "pg_read_all_data", "pg_monitor"])
def test_a_role_that_the_login_role_may_not_become_is_refused(send: Send, role: str) -> None:
    answer = send(made({"role": role}))
    assert refusal(answer) == (403, "42501", f'permission denied to set role "{role}"')
    assert "www-authenticate" not in answer.headers


@pytest.mark.usefixtures("nothing_stored")
def test_a_role_named_like_the_gateway_is_refused_as_any_other(send: Send, sql: Sql) -> None:
    sql("create role pgmq_gateway_admin")
    try:
        answer = send(made({"role": "pgmq_gateway_admin"}))
        assert refusal(answer) == (403, "42501", 'permission denied to set role "pgmq_gateway_admin"')
    finally:
        sql("drop role pgmq_gateway_admin")


@pytest.mark.usefixtures("nothing_stored")
def test_the_login_role_itself_can_do_nothing(send: Send, queue: str) -> None:
    answer = send(made({"role": "authenticator"}))
    status, code, message = refusal(answer)
    assert (status, code) == (403, "42501")
    assert message in {"permission denied for schema pgmq_public", f"permission denied for table q_{queue}"}


@pytest.mark.usefixtures("nothing_stored")
def test_without_an_anonymous_role_a_token_is_needed(send: Send, api: httpx.Client, serve: Serve) -> None:
    api.base_url = httpx.URL(serve("postgres", PGRST_DB_ANON_ROLE="").url)
    body = {"code": "PGRST302", "details": None, "hint": None, "message": "Anonymous access is disabled"}
    for answer in (send(), send(made({"sub": "ann"})), send(Authorization=f"Basic {for_role()}")):
        assert (answer.status_code, error(answer)) == (401, body)
        assert answer.headers["www-authenticate"] == "Bearer"
    # The arguments are missing, so that this call gets past the token and no further.
    found = api.post("/rpc/send", headers={"Authorization": f"Bearer {for_role()}"})
    assert error(found)["code"] == "PGRST202"


@pytest.mark.usefixtures("one_stored")
def test_an_apikey_stands_in_for_a_missing_token(send: Send, queue: str, sql: Sql) -> None:
    sql(f"revoke all on pgmq.q_{queue} from anon")
    assert send(apikey=for_role()).status_code == 200


@pytest.mark.usefixtures("nothing_stored")
def test_an_apikey_does_not_stand_in_for_a_token_that_is_there(send: Send, queue: str, sql: Sql) -> None:
    sql(f"revoke all on pgmq.q_{queue} from anon")
    for authorization in ("Basic dXNlcjpwYXNz", f"Bearer {made({'role': 'anon'})}", f"Bearer {made({})}"):
        answer = send(apikey=for_role(), Authorization=authorization)
        assert refusal(answer) == (401, "42501", f"permission denied for table q_{queue}")
    invalid(send("x", apikey=for_role()), "PGRST301", "Expected 3 parts in JWT; got 1")
    expired = send(for_role(exp=1), apikey=for_role())
    invalid(expired, "PGRST303", "JWT expired")


@pytest.mark.usefixtures("nothing_stored")
def test_an_apikey_is_judged_as_a_token(send: Send) -> None:
    invalid(send(apikey="x"), "PGRST301", "Expected 3 parts in JWT; got 1")
    invalid(send(apikey=for_role(exp=1)), "PGRST303", "JWT expired")


@pytest.mark.usefixtures("one_stored")
def test_an_empty_apikey_is_none(send: Send) -> None:
    assert send(apikey="").status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("place", ["access_token", "jwt", "token", "Authorization"])
def test_a_token_in_the_query_string_is_none(api: httpx.Client, queue: str, send: Send, sql: Sql, place: str) -> None:
    assert send("x").status_code == 401
    sql(f"revoke all on pgmq.q_{queue} from anon")
    body = {"queue_name": queue, "message": 1}
    answer = api.post("/rpc/send", params={place: for_role()}, json=body)
    assert answer.status_code in {400, 401}
    assert error(answer)["code"] in {"PGRST100", "42501"}


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "token",
    [
        pytest.param("a" * 1_000_000, id="no parts"),
        pytest.param(".".join(["a" * 300_000] * 3), id="meaningless parts"),
        pytest.param("." * 1_000_000, id="only dots"),
        pytest.param(made({"role": "authenticated", "sub": "x" * 1_000_000}) + "x", id="wrong signature"),
        pytest.param(made("[" * 10_000 + "]" * 10_000), id="a deep array"),
        pytest.param(made('{"role": "authenticated", "a": ' + "[" * 10_000 + "]" * 10_000 + "}"), id="a deep claim"),
        pytest.param(made('{"a":' * 10_000 + "1" + "}" * 10_000), id="deep objects"),
        pytest.param(made({"role": "authenticated"}, "[" * 10_000), id="a deep header"),
        pytest.param(made(f'{{"role": "authenticated", "exp": {"9" * 10_000}}}'), id="a long number"),
    ],
)
def test_a_monstrous_token_is_refused(send: Send, token: str) -> None:
    answer = send(token)
    assert answer.status_code in {400, 401, 431}
    if answer.status_code == 401:
        assert error(answer)["code"] in {"PGRST301", "PGRST303"}


@pytest.fixture
def seen(queue: str, sql: Sql) -> Callable[[], list[tuple[Any, ...]]]:
    """seen() gives the claims that SQL saw when each message was stored."""
    sql(f"alter table pgmq.q_{queue} add column claims text")
    sql(f"alter table pgmq.q_{queue} alter column claims set default current_setting('request.jwt.claims')")
    return lambda: sql(f"select claims from pgmq.q_{queue} order by msg_id")


Seen = Callable[[], list[tuple[Any, ...]]]


def test_claims_reach_sql_as_postgrest_writes_them(send: Send, seen: Seen) -> None:
    # A member that comes twice counts once, so that nobody reads another one than the gateway did.
    claims = '{"role": "authenticated",  "n": 12345678901234567890, "f": 1.10, "sub": "a", "sub": "\\u00e9 é"}'
    assert send(made(claims)).status_code == 200
    assert send().status_code == 200
    assert seen() == [
        ('{"f":1.1,"n":12345678901234567890,"role":"authenticated","sub":"\\u00e9 \\u00e9"}',),
        ('{"role":"anon"}',),
    ]


def test_the_role_of_a_token_without_one_is_among_its_claims(send: Send, seen: Seen) -> None:
    assert send(made({"sub": "ann", "n": 2**70})).status_code == 200
    assert send(made({"sub": "\ud800"})).status_code == 200
    assert [json.loads(claims) for (claims,) in seen()] == [
        {"sub": "ann", "n": 2**70, "role": "anon"},
        {"sub": "\ud800", "role": "anon"},
    ]


@pytest.mark.usefixtures("nothing_stored")
def test_a_role_is_not_cut_to_one_that_exists(send: Send, sql: Sql) -> None:
    role = f"role_{'x' * 58}"
    sql(f"create role {role}; grant {role} to authenticator; grant authenticated to {role} with inherit true")
    try:
        answer = send(made({"role": f"{role}y"}))
        assert refusal(answer)[:2] == (401, "22023")
    finally:
        sql(f"drop role {role}")


def test_a_secret_in_base64_is_decoded(send: Send, api: httpx.Client, serve: Serve, queue: str, sql: Sql) -> None:
    secret = hashlib.sha256(b"any").hexdigest()
    settings = {"PGRST_JWT_SECRET": base64.b64encode(secret.encode()).decode(), "PGRST_JWT_SECRET_IS_BASE64": "true"}
    api.base_url = httpx.URL(serve("postgres", **settings).url)
    assert send(made({"role": "authenticated"}, secret=secret)).status_code == 200
    invalid(send(for_role()), "PGRST301", *NO_SIGNATURE)
    encoded_secret = settings["PGRST_JWT_SECRET"]
    invalid(send(made({"role": "authenticated"}, secret=encoded_secret)), "PGRST301", *NO_SIGNATURE)
    assert sql(f"select count(*) from pgmq.q_{queue}") == [(1,)]
