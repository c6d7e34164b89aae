"""Tokens: the errors of rejected ones, and the role and claims of accepted ones."""

import hmac
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx
import psutil
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.answers import error, refusal
from tests.attacks.tokens import NO_KEY, NO_SIGNATURE, begun, challenge, encoded, invalid
from tests.databases import Sql, runner
from tests.server import SECRET, Server, start

Send = Callable[..., httpx.Response]

HEADER = {"alg": "HS256", "typ": "JWT"}
HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
NO_ALGORITHM = ("Wrong or unsupported encoding algorithm", "JWT is unsecured but expected 'alg' was not 'none'")
ISSUER = "https://id.example.org"
BROKEN = ("JWT cryptographic operation failed", None)
UNREADABLE = ("Parsing claims failed", None)


def made(claims: object, header: object = HEADER, secret: str = SECRET) -> str:
    """A token with these claims and this header, signed with the secret."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    name = HASHES.get(str(header.get("alg")) if isinstance(header, dict) else "", "sha256")
    return f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), name))}"


def for_role(**claims: object) -> str:
    """A token of an authenticated user with more claims."""
    return made({"role": "authenticated", **claims})


@pytest.fixture(scope="module")
def sql(directory: DataDirectory) -> Iterator[Sql]:
    """Run SQL as the owner in the running server's database."""
    with psycopg.connect(socket_uri(directory), autocommit=True) as connection:
        yield runner(connection)


@pytest.fixture(scope="module")
def queue(sql: Sql) -> Iterator[str]:
    """A queue for all tests of this file; anon and authenticated can send to it."""
    name = f"q{uuid.uuid4().hex[:12]}"
    sql("select pgmq_admin.create_queue(%s)", name)
    sql(f"alter table pgmq.q_{name} disable row level security")
    for role in ("anon", "authenticated"):
        sql("select pgmq_admin.grant_queue(%s, %s, '{send}')", name, role)
    yield name
    sql("select pgmq.drop_queue(%s)", name)


@pytest.fixture
def anon_may_not(queue: str, sql: Sql) -> Iterator[None]:
    """Revokes sending from anon for the test."""
    sql(f"revoke all on pgmq.q_{queue} from anon")
    yield
    sql("select pgmq_admin.grant_queue(%s, 'anon', '{send}')", queue)


@pytest.fixture(scope="module")
def client(embedded: Server) -> Iterator[httpx.Client]:
    """A client for all tests of this file."""
    with httpx.Client(base_url=embedded.url, timeout=30) as client:
        yield client


@pytest.fixture
def send(client: httpx.Client, queue: str) -> Send:
    """send(token) sends a message; send(X="…") with these headers."""
    return sender(client, queue)


def sender(client: httpx.Client, queue: str) -> Send:
    """A function that sends to this queue through this client."""

    def post(token: str | None = None, **headers: str) -> httpx.Response:
        sent = headers if token is None else {"Authorization": f"Bearer {token}", **headers}
        body = {"queue_name": queue, "message": 1}
        named = {"Content-Profile": "pgmq_public", **sent}
        return client.post(
            "/rpc/send", json=body, headers={name.encode(): value.encode() for name, value in named.items()}
        )

    return post


def stored(sql: Sql, queue: str) -> int:
    """Number of messages in the queue."""
    return int(sql(f"select count(*) from pgmq.q_{queue}")[0][0])


@pytest.fixture
def nothing_stored(queue: str, sql: Sql) -> Iterator[None]:
    """Asserts that the test adds no message, although every role can send."""
    before = stored(sql, queue)
    yield
    assert stored(sql, queue) == before


@pytest.fixture
def one_stored(queue: str, sql: Sql) -> Iterator[None]:
    """Asserts that the test adds one message."""
    before = stored(sql, queue)
    yield
    assert stored(sql, queue) == before + 1


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
def test_a7_a_token_out_of_its_time_is_refused(send: Send, claim: str, offset: float, message: str) -> None:
    invalid(send(for_role(**{claim: time.time() + offset})), "PGRST303", message)


@pytest.mark.usefixtures("one_stored")
@pytest.mark.parametrize(("claim", "offset"), [("exp", -15), ("nbf", 29), ("iat", 29), ("exp", 15), ("nbf", -60)])
def test_a7_clocks_may_differ_by_half_a_minute(send: Send, claim: str, offset: int) -> None:
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
def test_a_token_without_exp_does_not_expire(send: Send, claims: dict[str, Any]) -> None:
    assert send(for_role(**claims)).status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["99999999999", "", True, [99999999999], {"n": 1}])
def test_a7_a_time_must_be_a_number(send: Send, claim: str, value: object) -> None:
    invalid(send(for_role(**{claim: value})), "PGRST303", f"The JWT '{claim}' claim must be a number")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("number", ["-1", "-99999999999", "-1e309", "0", "0.0", "1e-400"])
def test_a7_a_time_long_gone_is_in_the_past(send: Send, number: str) -> None:
    invalid(send(made(f'{{"role": "authenticated", "exp": {number}}}')), "PGRST303", "JWT expired")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a7_a_time_beyond_all_numbers_is_refused(send: Send, claim: str) -> None:
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
def test_a7_a10_claims_that_are_no_json_object_are_refused(send: Send, claims: str) -> None:
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
def test_a12_a_token_signed_with_another_secret_is_refused(send: Send, secret: str) -> None:
    invalid(send(made({"role": "authenticated"}, secret=secret)), "PGRST301", *NO_SIGNATURE)


@pytest.mark.usefixtures("nothing_stored")
def test_a12_claims_changed_after_signing_are_refused(send: Send) -> None:
    header, _, signature = for_role().split(".")
    forged = f"{header}.{encoded({'role': 'service_role'})}.{signature}"
    invalid(send(forged), "PGRST301", *NO_SIGNATURE)


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def respelled(signature: str) -> Iterator[str]:
    """Other spellings that a lenient base64 decoder reads as the same bytes."""
    # 32 bytes are 43 characters, with two unused bits in the last one.
    last = ALPHABET.index(signature[-1])
    yield from (signature[:-1] + ALPHABET[last ^ bits] for bits in (1, 2, 3))
    yield from (f"{signature}{more}" for more in ("=", "==", "===", "%3D", "!", "*", "\x80"))
    yield from (f"{signature[:9]}{more}{signature[9:]}" for more in ("!", "=", ".", " ", "\t", "~"))
    yield signature.translate(str.maketrans("-_", "+/")) + "="


@pytest.mark.usefixtures("nothing_stored")
def test_a12_a_signature_has_one_spelling(send: Send) -> None:
    head, _, signature = for_role().rpartition(".")
    shortened = (signature[:-4], signature[:20], signature[:-1], "", "A" * 43, encoded(b"\0" * 64), signature + "AAAA")
    for other in (*respelled(signature), *shortened, signature.lower(), signature + signature):
        answer = send(f"{head}.{other}")
        status, code, message = refusal(answer)
        assert (status, code) == (401, "PGRST301"), other
        assert answer.headers["www-authenticate"] == challenge(message)


@pytest.mark.usefixtures("nothing_stored")
def test_a12_header_and_claims_have_one_spelling_too(send: Send) -> None:
    header, claims, _ = for_role(sub="aa").split(".")
    for parts in ((f"{header}=", claims), (header, f"{claims}="), (f"{header}!", claims), (header, f"!{claims}")):
        signed = ".".join(parts)
        signature = encoded(hmac.digest(SECRET.encode(), signed.encode(), "sha256"))
        assert refusal(send(f"{signed}.{signature}"))[:2] == (401, "PGRST301")


GOOD = for_role(sub="a", aud="b")
# Bytes allowed in a header's value; leading and trailing white space is not part of it.
ANY_BYTE = st.integers(33, 255).filter(lambda byte: byte != 127)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A valid token with some bytes changed, doubled, moved or removed."""
    token = bytearray(GOOD.encode())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(token) - 1))
        match draw(st.sampled_from(["change", "insert", "drop", "swap", "cut"])):
            case "change":
                token[at] = draw(ANY_BYTE)
            case "insert":
                token.insert(at, draw(ANY_BYTE))
            case "drop" if len(token) > 1:
                del token[at]
            case "swap":
                token[at], token[at - 1] = token[at - 1], token[at]
            case _:
                del token[at + 1 :]
    return bytes(token)


@pytest.mark.usefixtures("nothing_stored")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=mutations().filter(lambda token: token != GOOD.encode()))
def test_a12_no_mutation_of_a_token_authenticates(client: httpx.Client, queue: str, token: bytes) -> None:
    headers = {b"Authorization": b"Bearer " + token, b"Content-Profile": b"pgmq_public"}
    answer = client.post("/rpc/send", json={"queue_name": queue, "message": 1}, headers=headers)
    assert refusal(answer)[:2] in {(401, "PGRST301"), (401, "PGRST303")}


def test_a1_to_a12_a_refused_token_costs_no_database_connection(send: Send, embedded: Server) -> None:
    head = made({"role": "service_role"}, {"alg": "none"}).rpartition(".")[0]
    rows = [made({}, {"alg": alg}) for alg in ("RS256", "PS256", "ES256", "EdDSA", "HS512", "nOnE", "x")]
    kids: list[object] = ["'; drop table pgmq.meta; --", 1, []]
    rows += [made({}, {**HEADER, "kid": kid}) for kid in kids]
    rows += [made({}, {**HEADER, "crit": ["x"]}), f"{head}.", for_role(exp=1), for_role(nbf=1e11), for_role(aud=1)]
    rows += [made('{"exp": 1e309}'), made("[]"), for_role() + "x", "x", "a.b.c", made({}, secret="x" * 32)]
    rows += [made({"role": role}) for role in ("none", "x" * 64, "a\nb")]
    before = begun(embedded)
    assert {send(row).status_code for row in rows} == {401}
    assert begun(embedded) == before
    assert send(for_role(role="ghost")).status_code == 401
    assert begun(embedded) == before + 1


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("signature", ["", "AAAA", None])
def test_a1_an_unsecured_token_is_refused(send: Send, signature: str | None) -> None:
    token = made({"role": "service_role"}, {"alg": "none", "typ": "JWT"})
    if signature is not None:
        token = f"{token.rpartition('.')[0]}.{signature}"
    invalid(send(token), "PGRST301", *NO_ALGORITHM)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "algorithm", ["None", "NONE", "nOnE", "", "none ", "HS512", "HS384", "RS256", "ES256", "EdDSA", "hs256", "HS256 "]
)
@pytest.mark.parametrize("signed", [True, False])
def test_a1_another_algorithm_is_refused(send: Send, algorithm: str, signed: bool) -> None:
    token = made({"role": "service_role"}, {"alg": algorithm, "typ": "JWT"})
    invalid(send(token if signed else f"{token.rpartition('.')[0]}."), "PGRST301", *NO_KEY)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("kid", ["a", "../../dev/null", "'; drop table pgmq.meta; --", "x" * 1000])
def test_a4_a_key_id_without_a_match_is_refused(send: Send, kid: str) -> None:
    invalid(send(made({"role": "authenticated"}, {**HEADER, "kid": kid})), "PGRST301", *NO_KEY)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"}, {**HEADER, "kid": ["a"]}, {**HEADER, "kid": 1}, {"alg": None},
        {"alg": ["HS256"]}, {"alg": {"HS256": 1}}, {**HEADER, "crit": ["exp"]}, {**HEADER, "crit": ["exp"], "exp": 1},
        {**HEADER, "crit": ["b64"], "b64": False}, {**HEADER, "x5u": "http://127.0.0.1:9/", "crit": ["x5u"]},
        ["HS256"], "HS256", "{", b"\xff",
    ],
    ids=str,
)  # fmt: skip
def test_a3_a4_a_header_that_is_not_understood_is_refused(send: Send, header: object) -> None:
    answer = send(made({"role": "authenticated"}, header))
    status, code, message = refusal(answer)
    assert (status, code) == (401, "PGRST301")
    assert message in {NO_KEY[0], BROKEN[0]}
    assert answer.headers["www-authenticate"] == challenge(message)


@pytest.mark.usefixtures("one_stored")
def test_w8_a_key_id_of_null_is_as_absent(send: Send) -> None:
    assert send(made({"role": "authenticated"}, {**HEADER, "kid": None})).status_code == 200


@pytest.mark.usefixtures("one_stored")
def test_a5_addresses_and_keys_in_the_header_are_not_looked_at(send: Send, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    own = {"kty": "oct", "k": encoded("a key of the attacker's own, long enough"), "alg": "HS256"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        # Opening the FIFO would block the request for ever.
        places = ({"jku": url, "x5u": url}, {"jku": f"file://{fifo}", "x5u": str(fifo), "x5c": [str(fifo)]})
        for more in (*places, {"jwk": own}, {"x5t": "AAAA", "x5t#S256": "AAAA"}):
            forged = made(
                {"role": "service_role"}, {**HEADER, **more}, secret="a key of the attacker's own, long enough"
            )
            invalid(send(forged), "PGRST301", *NO_SIGNATURE)
        invalid(send(made({"role": "service_role"}, {**HEADER, "kid": str(fifo)})), "PGRST301", *NO_KEY)
        assert (
            send(made({"role": "authenticated"}, {**HEADER, **places[0], **places[1], "jwk": own})).status_code == 200
        )
        with pytest.raises(BlockingIOError):
            listening.accept()


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


@pytest.mark.usefixtures("one_stored", "anon_may_not")
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_case_insensitive(send: Send, scheme: str) -> None:
    assert send(Authorization=f"{scheme} {for_role()}").status_code == 200


@pytest.mark.usefixtures("nothing_stored", "anon_may_not")
@pytest.mark.parametrize(
    "value", ["Basic dXNlcjpwYXNz", "Digest {token}", "{token}", "Bearer{token}", "Bearer\t{token}", ""]
)
def test_another_scheme_is_treated_as_no_token(send: Send, value: str, queue: str) -> None:
    answer = send(Authorization=value.format(token=for_role()))
    assert refusal(answer) == (401, "42501", f"permission denied for table q_{queue}")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("nothing_stored")
def test_a14_the_first_of_two_authorization_headers_counts(client: httpx.Client, queue: str, send: Send) -> None:
    assert send("a.b").status_code == 401
    good, bad = (("Authorization", f"Bearer {token}") for token in (for_role(), "a.b"))
    body = {"queue_name": queue, "message": 1, "sleep_seconds": "x"}
    profile = ("Content-Profile", "pgmq_public")
    invalid(
        client.post("/rpc/send", json=body, headers=[bad, good, profile]), "PGRST301", "Expected 3 parts in JWT; got 2"
    )
    # The arguments are wrong, so that this call gets past the token and no further.
    assert error(client.post("/rpc/send", json=body, headers=[good, bad, profile]))["code"] == "22P02"


@pytest.fixture(scope="module")
def particular(directory: DataDirectory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a gateway with an audience and issuers, without an anonymous role."""
    uri = socket_uri(directory, "authenticator")
    settings = {"PGRST_JWT_AUD": "queues", "PGMQ_GATEWAY_JWT_ISSUER": f"{ISSUER}, other", "PGRST_DB_ANON_ROLE": ""}
    env = {"PGRST_DB_URI": uri, "PGRST_JWT_SECRET": SECRET, "PGRST_DB_POOL": "1", **settings}
    running = start(tmp_path_factory.mktemp("particular") / "log", env=env)
    with httpx.Client(base_url=running.url, timeout=30) as client:
        yield client
    assert running.stop() == 0


@pytest.fixture
def for_audience(particular: httpx.Client, queue: str) -> Send:
    """send() to that gateway."""
    return sender(particular, queue)


@pytest.mark.parametrize("audience", [None, [], "queues", ["queues"], ["other", "queues"]])
@pytest.mark.usefixtures("one_stored")
def test_a9_an_audience_that_fits_or_is_not_named_passes(for_audience: Send, audience: object) -> None:
    assert for_audience(for_role(aud=audience, iss=ISSUER)).status_code == 200


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("audience", ["other", ["other"], "", [""], "queues ", "Queues", "queue", ["a", "b"]])
def test_a9_another_audience_is_refused(for_audience: Send, audience: object) -> None:
    invalid(for_audience(for_role(aud=audience, iss=ISSUER)), "PGRST303", "JWT not in audience")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("audience", [1, True, {"queues": 1}, ["queues", 1], [["queues"]], [None]])
def test_a9_an_audience_is_a_string_or_an_array_of_strings(send: Send, audience: object) -> None:
    message = "The JWT 'aud' claim must be a string or an array of strings"
    invalid(send(for_role(aud=audience)), "PGRST303", message)


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "issuer", [None, "", "Https://id.example.org", [ISSUER], {ISSUER: 1}, 1, True, f"{ISSUER}/", "*"]
)
def test_a9_another_issuer_or_none_is_refused(for_audience: Send, issuer: object) -> None:
    invalid(for_audience(for_role(iss=issuer)), "PGRST303", "JWT issuer not accepted")
    invalid(for_audience(for_role(iss=issuer, aud="x", exp=1)), "PGRST303", "JWT expired")


@pytest.mark.usefixtures("nothing_stored")
def test_a9_a_token_without_an_issuer_is_refused_where_one_is_wanted(for_audience: Send) -> None:
    invalid(for_audience(for_role()), "PGRST303", "JWT issuer not accepted")


@pytest.mark.usefixtures("one_stored")
def test_a9_each_of_the_issuers_passes(for_audience: Send) -> None:
    assert for_audience(for_role(iss="other")).status_code == 200


@pytest.mark.usefixtures("one_stored")
@pytest.mark.parametrize("audience", ["anything", ["a", "b"]])
def test_without_a_configured_audience_any_passes(send: Send, audience: object) -> None:
    assert send(for_role(aud=audience)).status_code == 200


@pytest.mark.usefixtures("one_stored")
def test_a_token_without_a_role_has_the_privileges_of_the_anonymous_role(send: Send) -> None:
    assert send(made({"sub": "ann"})).status_code == 200


@pytest.mark.usefixtures("nothing_stored", "anon_may_not")
def test_a_token_without_a_role_is_anonymous(send: Send) -> None:
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
def test_a11_a_role_that_does_not_exist_is_refused(send: Send, role: str) -> None:
    answer = send(made({"role": role}))
    body = {"code": "22023", "details": None, "hint": None, "message": f'role "{role}" does not exist'}
    assert (answer.status_code, error(answer)) == (401, body)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "role", ['"a\\u0000b"', '"\\ud800"', f'"{"x" * 100}"', '"a\\nb"', '"\\u0000"', "5", "true", "null", "[]", "{}"]
)
def test_a11_a_role_that_can_be_none_is_refused(send: Send, role: str) -> None:
    answer = send(made(f'{{"role": {role}}}'))
    status, code, message = refusal(answer)
    assert (status, code) == (401, "22023")
    assert message.startswith('role "')
    assert message.endswith('" does not exist')
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("role", ["postgres", "pg_read_all_data", "pg_monitor"])
def test_a11_a_role_that_the_login_role_may_not_become_is_refused(send: Send, role: str) -> None:
    answer = send(made({"role": role}))
    assert refusal(answer) == (403, "42501", f'permission denied to set role "{role}"')
    assert "www-authenticate" not in answer.headers


@pytest.mark.usefixtures("nothing_stored")
def test_a11_a_role_named_like_the_gateway_is_refused_as_any_other(send: Send, sql: Sql) -> None:
    sql("create role pgmq_gateway_admin")
    try:
        answer = send(made({"role": "pgmq_gateway_admin"}))
        assert refusal(answer) == (403, "42501", 'permission denied to set role "pgmq_gateway_admin"')
    finally:
        sql("drop role pgmq_gateway_admin")


@pytest.mark.usefixtures("nothing_stored")
def test_a11_the_login_role_itself_can_do_nothing(send: Send, queue: str) -> None:
    answer = send(made({"role": "authenticator"}))
    status, code, message = refusal(answer)
    assert (status, code) == (403, "42501")
    assert message in {"permission denied for schema pgmq_public", f"permission denied for table q_{queue}"}


@pytest.mark.usefixtures("nothing_stored")
def test_without_an_anonymous_role_a_token_is_needed(particular: httpx.Client, for_audience: Send) -> None:
    send, signed = for_audience, for_role(iss=ISSUER)
    body = {"code": "PGRST302", "details": None, "hint": ANY, "message": "Anonymous access is disabled"}
    for answer in (send(), send(made({"sub": "ann", "iss": ISSUER})), send(Authorization=f"Basic {signed}")):
        assert (answer.status_code, error(answer)) == (401, body)
        assert answer.headers["www-authenticate"] == "Bearer"
    # The arguments are missing, so that this call gets past the token and no further.
    headers = {"Authorization": f"Bearer {signed}", "Content-Profile": "pgmq_public"}
    assert error(particular.post("/rpc/send", headers=headers))["code"] == "PGRST202"


@pytest.mark.usefixtures("one_stored", "anon_may_not")
def test_an_apikey_stands_in_for_a_missing_token(send: Send) -> None:
    assert send(apikey=for_role()).status_code == 200


@pytest.mark.usefixtures("nothing_stored", "anon_may_not")
def test_an_apikey_does_not_stand_in_for_a_token_that_is_there(send: Send, queue: str) -> None:
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
def test_an_empty_apikey_is_ignored(send: Send) -> None:
    assert send(apikey="").status_code == 200


@pytest.mark.usefixtures("nothing_stored", "anon_may_not")
@pytest.mark.parametrize("place", ["access_token", "jwt", "token", "Authorization"])
def test_a14_a_token_in_the_query_string_is_none(client: httpx.Client, queue: str, send: Send, place: str) -> None:
    assert send("x").status_code == 401
    body = {"queue_name": queue, "message": 1}
    answer = client.post("/rpc/send", params={place: for_role()}, json=body, headers={"Content-Profile": "pgmq_public"})
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
        pytest.param(made({"role": "authenticated", **{f"c{n}": n for n in range(100_000)}}) + "x", id="many claims"),
        pytest.param(made({"role": "authenticated"}, {**HEADER, "kid": "x" * 1_000_000}), id="a long kid"),
        pytest.param(made({"role": "authenticated"}, {**HEADER, "crit": ["x"] * 100_000}), id="a long crit"),
        pytest.param(made("{" + '"a": 1,' * 100_000 + '"role": "authenticated"}'), id="one claim again and again"),
    ],
)
def test_a10_a_monstrous_token_is_refused(send: Send, embedded: Server, token: str) -> None:
    server = psutil.Process(embedded.process.pid)
    before = server.cpu_times()
    for _ in range(3):
        try:
            answer = send(token)
        except httpx.TransportError:
            # The gateway may close before it has read the whole request.
            continue
        assert answer.status_code in {400, 401, 431}
        if answer.status_code == 401:
            assert error(answer)["code"] in {"PGRST301", "PGRST303"}
    after = server.cpu_times()
    assert after.user + after.system - before.user - before.system < 3
    assert send(for_role(role="ghost")).status_code == 401


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "claims",
    [
        '{"role": "anon", "role": "authenticated"}', '{"role": "authenticated", "role": "authenticated"}',
        '{"role": "authenticated", "exp": 1, "exp": 99999999999}', '{"role": "authenticated", "a": {"b": 1, "b": 2}}',
        '{"role": "authenticated", "\\u0072ole": "anon"}',
    ],
)  # fmt: skip
def test_a10_a_claim_that_comes_twice_is_refused(send: Send, claims: str) -> None:
    invalid(send(made(claims)), "PGRST303", *UNREADABLE)


@pytest.fixture
def seen(queue: str, sql: Sql) -> Iterator[Callable[[], list[tuple[Any, ...]]]]:
    """seen() returns the claims that SQL read as it stored each message of the test."""
    sql(f"delete from pgmq.q_{queue}")
    sql(f"alter table pgmq.q_{queue} add column claims text")
    sql(f"alter table pgmq.q_{queue} alter column claims set default current_setting('request.jwt.claims')")
    yield lambda: sql(f"select claims from pgmq.q_{queue} order by msg_id")
    sql(f"alter table pgmq.q_{queue} drop column claims")


Seen = Callable[[], list[tuple[Any, ...]]]


def test_claims_reach_sql_as_postgrest_writes_them(send: Send, seen: Seen) -> None:
    claims = '{"role": "authenticated",  "n": 12345678901234567890, "f": 1.10, "sub": "\\u00e9 é"}'
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
def test_a11_a_role_is_not_cut_to_one_that_exists(send: Send, sql: Sql) -> None:
    role = f"role_{'x' * 58}"
    sql(f"create role {role}; grant {role} to authenticator; grant authenticated to {role} with inherit true")
    try:
        answer = send(made({"role": f"{role}y"}))
        assert refusal(answer)[:2] == (401, "22023")
    finally:
        sql(f"drop role {role}")
