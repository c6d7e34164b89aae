"""Tokens of every algorithm against a gateway with all kinds of keys."""

import base64
import hmac
import itertools
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from pgmq_gateway.embedded.cluster import socket_uri
from pgmq_gateway.embedded.datadir import DataDirectory
from tests.answers import error, refusal
from tests.attacks.tokens import NO_KEY, NO_SIGNATURE, begun, encoded, invalid
from tests.keyserver import KeyServer, running
from tests.server import SECRET, Server, start
from tests.signing import Pair, curve_pair, edwards_pair, goldilocks_pair, rsa_pair, secret_jwk
from tests.waiting import until

LONG = os.urandom(64)
PREVIOUS = "the secret before that, which still verifies"
STATED, OWN = rsa_pair("stated"), curve_pair("ES256", "own")
FETCHED = (rsa_pair(), curve_pair("ES256"), curve_pair("ES384"), curve_pair("ES512"), edwards_pair(), goldilocks_pair())
DEPARTING = curve_pair("ES256", "departing")
# A key in no set.
STRANGERS = {
    "RS256": rsa_pair("stranger"),
    "ES256": curve_pair("ES256", "stranger"),
    "EdDSA": edwards_pair("stranger"),
}
# Of the groups that signatures are made in: SEC 2 has that of P-256 (for others, a number of the same size is as good),
# RFC 8032 that of Ed25519.
ORDERS = {
    "es256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "es384": 2**384 - 2,
    "es512": 2**521 - 2,
}
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.fixture(scope="module")
def server() -> Iterator[KeyServer]:
    """The identity provider's keys."""
    with running() as started:
        started.serve(*(pair.jwk() for pair in (*FETCHED, DEPARTING)))
        yield started


@pytest.fixture(scope="module")
def gateway(server: KeyServer, directory: DataDirectory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway with secrets and public keys in its settings, a previous secret, and the provider's keys."""
    own = {
        "keys": [
            secret_jwk(LONG, kid="long", alg="HS512"),
            secret_jwk(LONG[:48], kid="middle"),
            secret_jwk(SECRET.encode()),
            STATED.jwk(alg="RS256", use="sig"),
            OWN.jwk(private=True),
            curve_pair("ES384", "sealed").jwk(use="enc"),
        ]
    }
    env = {
        "PGRST_DB_URI": socket_uri(directory, "authenticator"),
        "PGRST_DB_POOL": "1",
        "PGRST_JWT_SECRET": json.dumps(own, indent=1),
        "PGMQ_GATEWAY_JWT_PREVIOUS_SECRET": PREVIOUS,
        "PGMQ_GATEWAY_JWKS_URL": server.url,
        "PGMQ_GATEWAY_JWKS_PRIVATE_ADDRESSES": "true",
    }
    started = start(tmp_path_factory.mktemp("keys") / "log", env=env)
    yield started
    assert started.stop() == 0
    # No attack caused an internal error.
    assert "Traceback" not in started.log.read_text()


@pytest.fixture(scope="module")
def client(gateway: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, headers={"Content-Profile": "pgmq_public"}, timeout=30) as client:
        yield client


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def send(client: httpx.Client, token: str) -> httpx.Response:
    """A call without its arguments, which fails after authentication."""
    return client.post("/rpc/send", headers={"Authorization": f"Bearer {token}"})


def opens(client: httpx.Client, token: str) -> bool:
    """True if the token authenticates."""
    answer = send(client, token)
    code = error(answer)["code"]
    assert (answer.status_code, code) in {(404, "PGRST202"), (401, "PGRST301")}
    return answer.status_code == 404


def secret_token(secret: bytes, algorithm: str, **header: str) -> str:
    """A token signed with arbitrary bytes as the secret."""
    signed = f"{encoded({'alg': algorithm, **header})}.{encoded({'role': 'service_role'})}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), f'sha{algorithm[2:]}'))}"


@pytest.mark.parametrize("pair", FETCHED, ids=lambda pair: pair.kid)
def test_all_algorithms_of_fetched_keys_are_taken(client: httpx.Client, pair: Pair) -> None:
    for algorithm in pair.algorithms:
        assert opens(client, pair.token(algorithm)), algorithm
        assert opens(client, pair.token(algorithm, kid=None)), algorithm


def test_keys_of_the_settings_verify_their_algorithms(client: httpx.Client) -> None:
    assert opens(client, OWN.token())
    assert opens(client, STATED.token("RS256"))
    for secret, algorithm, header in (
        (SECRET.encode(), "HS256", {}),
        (PREVIOUS.encode(), "HS256", {}),
        (LONG[:48], "HS256", {}),
        (LONG[:48], "HS384", {"kid": "middle"}),
        (LONG, "HS512", {"kid": "long"}),
        (LONG, "HS512", {}),
    ):
        assert opens(client, secret_token(secret, algorithm, **header))


def test_a2_a_key_verifies_nothing_but_what_it_is_for(client: httpx.Client) -> None:
    for token in (
        STATED.token("RS512"),
        STATED.token("PS256"),
        secret_token(LONG, "HS256", kid="long"),
        secret_token(LONG, "HS384"),
        secret_token(SECRET.encode(), "HS384"),
        secret_token(SECRET.encode(), "HS512"),
        secret_token(PREVIOUS.encode(), "HS512"),
        secret_token(SECRET.encode(), "HS256", kid="long"),
        secret_token(LONG[:48], "HS384", kid="rsa"),
        rsa_pair().token("RS256", kid="stated"),
        OWN.token(kid="es256"),
        edwards_pair().token(kid="es256"),
        curve_pair("ES384", "sealed").token(),
    ):
        answer = send(client, token)
        assert refusal(answer)[:2] == (401, "PGRST301")


def public_texts(pair: Pair) -> Iterator[bytes]:
    """Encodings of a public key that an attacker could use as an HMAC secret."""
    public = pair.private.public_key()
    formats = [(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)]
    formats += [(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)]
    if pair.kid == "rsa":
        formats += [(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)]
    if pair.kid != "ed448":
        formats += [(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)]
    for encoding, form in formats:
        text: bytes = public.public_bytes(encoding, form)
        yield from (text, text.strip(), text + b"\n")
    jwk = pair.jwk()
    for value in (jwk, {"keys": [jwk]}, [jwk]):
        yield from (json.dumps(value).encode(), json.dumps(value, separators=(",", ":")).encode())
    for member in ("n", "e", "x", "y"):
        if isinstance(number := jwk.get(member), str):
            yield from (number.encode(), decoded(number))
    yield from (b"", b"null", pair.kid.encode())


@pytest.mark.parametrize("pair", [*FETCHED, OWN], ids=lambda pair: pair.kid)
def test_a2_a_public_key_is_no_secret(client: httpx.Client, gateway: Server, pair: Pair) -> None:
    before = begun(gateway)
    for text in public_texts(pair):
        for algorithm in ("HS256", "HS512"):
            invalid(send(client, secret_token(text, algorithm, kid=pair.kid)), "PGRST301", *NO_KEY)
        invalid(send(client, secret_token(text, "HS256")), "PGRST301", *NO_SIGNATURE)
    assert begun(gateway) == before


@pytest.mark.parametrize("algorithm", STRANGERS)
def test_a5_a_key_that_the_token_brings_along_is_not_used(
    client: httpx.Client, gateway: Server, algorithm: str
) -> None:
    stranger, before = STRANGERS[algorithm], begun(gateway)
    known = next(pair for pair in FETCHED if algorithm in pair.algorithms)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/keys"
        for header in (
            {"jwk": stranger.jwk()},
            {"jku": url, "x5u": url},
            {"x5c": [base64.b64encode(b"x" * 300).decode()], "jwk": stranger.jwk(kid=known.kid)},
            {"jwk": stranger.jwk(), "jku": url, "iss": url},
        ):
            for kid in ({"kid": known.kid}, {"kid": "stranger"}, {}):
                claims = {"role": "service_role", "iss": url}
                token = jwt.encode(claims, stranger.private, algorithm, {**header, **kid})
                assert refusal(send(client, token))[:2] == (401, "PGRST301")
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert begun(gateway) == before


def signatures(pair: Pair, good: bytes) -> Iterator[bytes]:
    """Invalid signatures, and valid ones that were extended or truncated."""
    size, half = len(good), len(good) // 2
    yield from (b"", b"\0", b"\0" * size, b"\xff" * size, b"\0" * (size - 1) + b"\1", b"\0" * 2 * size)
    yield from (good[:-1], good[1:], good + b"\0", b"\0" + good, good + good, good[:half], good[::-1], good[half:] * 2)
    if order := ORDERS.get(pair.kid):
        # A verifier without a range check accepts r = s = 0 (CVE-2022-21449).
        edges = [number.to_bytes(half, "big") for number in (0, 1, order, order - 1, order + 1)]
        yield from (r + s for r in edges for s in edges)
        yield from (good[:half] + edge for edge in edges)
        yield b"0\x06\x02\x01\0\x02\x01\0"
    if pair.kid == "ed":
        s = int.from_bytes(good[32:], "little") + ED25519_ORDER
        yield good[:32] + s.to_bytes(32, "little")
        # The neutral element, and a point of small order.
        yield from (point + b"\0" * 32 for point in (b"\1" + b"\0" * 31, b"\0" * 32, b"\xec" + b"\xff" * 30 + b"\x7f"))
    if pair.kid == "rsa":
        n = pair.private.public_key().public_numbers().n
        edges = [number.to_bytes(size, "big") for number in (1, n - 1, n)]
        yield from edges
        if (more := int.from_bytes(good, "big") + n).bit_length() <= 8 * size:
            yield more.to_bytes(size, "big")


@pytest.mark.parametrize("pair", FETCHED, ids=lambda pair: pair.kid)
def test_a12_an_invalid_signature_verifies_nothing(client: httpx.Client, gateway: Server, pair: Pair) -> None:
    before = begun(gateway)
    for algorithm in {pair.algorithms[0], pair.algorithms[-1]}:
        token = pair.token(algorithm, sub="not seen before")
        signed, _, text = token.rpartition(".")
        for signature in signatures(pair, decoded(text)):
            for kid_less in (signed, signed.replace(signed.partition(".")[0], encoded({"alg": algorithm}))):
                answer = send(client, f"{kid_less}.{encoded(signature)}")
                assert refusal(answer)[:2] == (401, "PGRST301"), signature
        for other in (f"{text}=", f"{text}==", f"{text[:-1]}", f"{text}A", f"{text} ", f"{text}."):
            if other.strip() != text:
                assert refusal(send(client, f"{signed}.{other}"))[:2] == (401, "PGRST301")
    assert begun(gateway) == before
    assert opens(client, token)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "PS384", "PS512"])
def test_a12_a_signature_without_its_leading_zero_verifies_nothing(client: httpx.Client, algorithm: str) -> None:
    # One of 256 begins with a zero.
    tokens = (FETCHED[0].token(algorithm, sub=f"zero {number}") for number in itertools.count())
    token = next(token for token in tokens if decoded(token.rpartition(".")[2])[0] == 0)
    signed, _, text = token.rpartition(".")
    assert refusal(send(client, f"{signed}.{encoded(decoded(text)[1:])}"))[:2] == (401, "PGRST301")
    assert opens(client, token)


def test_a6_a_hundred_unknown_keys_cause_one_fetch_at_most(client: httpx.Client, server: KeyServer) -> None:
    before = len(server.requests)
    tokens = [curve_pair("ES256", "stranger").token(kid=f"unknown {number}") for number in range(100)]

    def refused(token: str) -> None:
        invalid(send(client, token), "PGRST301", *NO_KEY)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(refused, tokens))
    assert len(server.requests) <= before + 1


def test_a6_a8_a_removed_key_is_refused_and_a_new_one_fetched_on_demand(
    client: httpx.Client, server: KeyServer
) -> None:
    new, kept = curve_pair("ES256", "new"), DEPARTING.token(sub="ann")
    assert opens(client, kept)
    assert not opens(client, new.token())
    server.serve(*(pair.jwk() for pair in (*FETCHED, new)))
    until(lambda: opens(client, new.token()))
    # It was verified before, and cached.
    assert not opens(client, kept)
    assert opens(client, curve_pair("ES256").token())
    assert opens(client, secret_token(SECRET.encode(), "HS256"))
