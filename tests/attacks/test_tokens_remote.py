"""Keys of a JWKS URL: failing servers, invalid sets, and forbidden addresses."""

import asyncio
import datetime
import gzip
import ipaddress
import json
import socket
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from pgmq_gateway.auth import fetch
from pgmq_gateway.auth.authenticator import Authenticator
from pgmq_gateway.auth.fetch import Fetcher, FetchError, on_internet
from pgmq_gateway.auth.jwk import Key
from pgmq_gateway.auth.keyset import KeySet
from pgmq_gateway.auth.remote_keys import (
    LONGEST_RETRY_SECONDS,
    MAX_KEYS,
    MAX_STALE_SECONDS,
    REQUESTED_REFRESH_INTERVAL_SECONDS,
    RemoteKeys,
    freshness,
)
from pgmq_gateway.errors import InvalidClaims, KeysMissing, Unauthorized
from pgmq_gateway.http.request import Head
from pgmq_gateway.settings.model import Settings, SettingsError, load_settings
from tests.clock import Clock
from tests.keyserver import Answer, KeyServer, chunks, content, cut, running, silence, trickle
from tests.signing import Pair, curve_pair, edwards_pair, rsa_pair, secret_jwk
from tests.waiting import until_async

ONE, OTHER = curve_pair("ES256", "one"), curve_pair("ES256", "other")


class Fetched:
    """Remote keys that a test refreshes, the URL's server, and the keys taken from its sets."""

    def __init__(self, server: KeyServer) -> None:
        self.server = server
        self.clock = Clock()
        self.keys: list[Key] = []
        self.changes = 0
        self.remote = RemoteKeys(server.url, lambda: Fetcher(private=True), self.clock)
        self.remote.changed = self._changed

    def _changed(self, keys: list[Key]) -> None:
        self.keys, self.changes = keys, self.changes + 1

    @property
    def kids(self) -> list[str | None]:
        return [key.kid for key in self.keys]


@pytest.fixture(scope="module")
def server() -> Iterator[KeyServer]:
    """A key server for all tests of this file."""
    with running() as started:
        yield started


@pytest.fixture
async def fetched(server: KeyServer) -> Fetched:
    """Keys of a set with one key, fetched once."""
    server.serve(ONE.jwk())
    server.requests.clear()
    made = Fetched(server)
    await made.remote.refresh()
    assert made.kids == ["one"]
    return made


def not_http(handler: BaseHTTPRequestHandler) -> None:
    """Bytes that are not HTTP."""
    handler.wfile.write(b"hello\r\n\r\n")


# A valid set, which the answers below spoil.
VALID = json.dumps({"keys": [OTHER.jwk()]}).encode()
BAD: dict[str, Answer] = {
    "500": content(VALID, 500),
    "404": content(VALID, 404),
    "204": content(b"", 204),
    "a redirect": content(b"", 302, Location="http://127.0.0.1:9/"),
    "a redirect with keys": content(VALID, 301, Location="/elsewhere"),
    "huge": content(VALID + b" " * fetch.MAX_DOCUMENT_BYTES),
    "huge, bit by bit": chunks(VALID, fetch.MAX_DOCUMENT_BYTES),
    "compressed": content(gzip.compress(VALID), Content_Encoding="gzip"),
    "a bomb": content(gzip.compress(VALID + b" " * 10_000_000), Content_Encoding="gzip"),
    "silent": silence,
    "a trickle": trickle(VALID),
    "cut short": cut,
    "not HTTP": not_http,
    "not JSON": content(b"<html>"),
    "not UTF-8": content(VALID + b"\xff"),
    "not a set": content(b"[]"),
    "not an object": content(b'"keys"'),
    "deep": content(b'{"keys":' + b"[" * 100_000),
    "a long number": content(b'{"keys": [], "n": ' + b"9" * 10_000 + b"}"),
    "a member twice": content(b'{"keys": {}, "keys": 1}'),
    "one kid twice": content(json.dumps({"keys": [OTHER.jwk(), edwards_pair().jwk(kid="other")]}).encode()),
    "the same key twice": content(json.dumps({"keys": [OTHER.jwk(), OTHER.jwk()]}).encode()),
    "too many keys": content(json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode()),
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD.keys())
async def test_a6_a_bad_answer_leaves_the_keys_that_are_there(
    fetched: Fetched, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(fetch, "FETCH_TIMEOUT_SECONDS", 0.3)
    fetched.server.answer = answer
    await fetched.remote.refresh()
    assert (fetched.remote.failures, fetched.remote.failing, fetched.remote.known) == (1, True, True)
    assert (fetched.kids, fetched.changes) == (["one"], 1)
    assert len(fetched.server.requests) == 2
    fetched.server.serve(OTHER.jwk())
    await fetched.remote.refresh()
    assert (fetched.remote.failing, fetched.kids) == (False, ["other"])


@pytest.mark.parametrize(
    ("begin", "flood"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nA\r\n"),
    ],
)
async def test_a6_a_flood_is_not_read_until_the_timeout(server: KeyServer, begin: bytes, flood: bytes) -> None:
    """Each of its parts costs CPU."""

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(begin)
        while True:
            handler.wfile.write(flood * 1000)

    server.answer = endless
    with pytest.raises(FetchError, match="the response is larger than"):
        await Fetcher(private=True).get(server.url)


async def test_a6_failures_are_repeated_ever_more_slowly_and_keys_do_not_outlive_a_day(fetched: Fetched) -> None:
    fetched.server.answer = content(b"", 500)
    waits = [await fetched.remote.refresh() for _ in range(9)]
    for number, wait in enumerate(waits):
        longest = min(2.0**number, LONGEST_RETRY_SECONDS)
        assert 0.8 * longest <= wait <= longest
    assert len(set(waits[-3:])) == 3, "no jitter"
    fetched.clock.now += MAX_STALE_SECONDS - 1
    await fetched.remote.refresh()
    assert (fetched.kids, fetched.remote.known) == (["one"], True)
    fetched.clock.now += 1
    await fetched.remote.refresh()
    assert (fetched.kids, fetched.remote.known) == ([], False)
    fetched.server.serve(ONE.jwk())
    assert await fetched.remote.refresh() > 60
    assert (fetched.kids, fetched.remote.known) == (["one"], True)


async def test_a6_an_unknown_key_asks_for_one_refresh_at_most(fetched: Fetched) -> None:
    before = fetched.remote.successes
    running = asyncio.create_task(fetched.remote.run())
    await fetched.remote.first_fetch()
    for _ in range(3):
        for _ in range(100):
            fetched.remote.request_refresh()
        await asyncio.sleep(0.05)
    assert fetched.remote.successes == before + 1
    fetched.clock.now += REQUESTED_REFRESH_INTERVAL_SECONDS
    for _ in range(100):
        fetched.remote.request_refresh()
    await until_async(lambda: fetched.remote.successes == before + 2)
    for _ in range(100):
        fetched.remote.request_refresh()
    await asyncio.sleep(0.05)
    assert fetched.remote.successes == before + 2
    # Tokens with unknown keys must not shorten the back-off after a failure.
    fetched.server.answer = content(b"", 500)
    fetched.clock.now += REQUESTED_REFRESH_INTERVAL_SECONDS
    fetched.remote.request_refresh()
    await until_async(lambda: fetched.remote.failures == 1)
    fetched.clock.now += REQUESTED_REFRESH_INTERVAL_SECONDS
    for _ in range(100):
        fetched.remote.request_refresh()
    await asyncio.sleep(0.05)
    assert fetched.remote.failures == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def head(token: str) -> Head:
    """The head of a request with this token."""
    return Head("POST", b"/rpc/send", b"", ((b"authorization", b"Bearer " + token.encode()),))


@pytest.fixture
async def authenticator(fetched: Fetched) -> Authenticator:
    """An authenticator with fetched keys and a token cache."""
    return Authenticator([], "anon", cache_size=10, remote=fetched.remote)


async def test_a6_a8_a_removed_key_is_refused_after_the_refresh_though_its_token_was_cached(
    fetched: Fetched, authenticator: Authenticator
) -> None:
    first, second = head(ONE.token()), head(OTHER.token())
    for _ in range(2):
        assert authenticator.caller(first).role == "authenticated"
    assert (authenticator.cache.requests, authenticator.cache.hits) == (2, 1)
    with pytest.raises(Unauthorized, match="No suitable key"):
        authenticator.caller(second)
    fetched.server.serve(OTHER.jwk())
    await fetched.remote.refresh()
    assert authenticator.caller(second).role == "authenticated"
    with pytest.raises(Unauthorized, match="No suitable key"):
        authenticator.caller(first)
    # Counters that Prometheus adds up never fall.
    assert (authenticator.cache.requests, authenticator.cache.hits) == (5, 1)


async def test_a6_a_set_in_another_order_forgets_no_token(fetched: Fetched, authenticator: Authenticator) -> None:
    fetched.server.serve(ONE.jwk(), OTHER.jwk())
    await fetched.remote.refresh()
    authenticator.caller(head(ONE.token(sub="x")))
    fetched.server.serve(OTHER.jwk(), ONE.jwk())
    await fetched.remote.refresh()
    assert authenticator.cache.evictions == 0


async def test_a_reload_keeps_the_keys_of_the_same_url(server: KeyServer) -> None:
    server.serve(ONE.jwk())
    settings = Settings.model_validate({"jwks_url": server.url, "jwks_private_addresses": True})
    first = RemoteKeys.of(settings)
    assert first is not None
    await first.refresh()
    for other, kept in ((settings, True), (settings.model_copy(update={"jwks_private_addresses": False}), False)):
        remote = RemoteKeys.of(other, first)
        assert remote is not None
        assert (remote.known, len(remote.keys), remote.successes) == (kept, kept, kept)
    later = Authenticator([], "anon", remote=RemoteKeys.of(settings, first))
    assert later.caller(head(ONE.token())).role == "authenticated"
    elsewhere = RemoteKeys.of(settings.model_copy(update={"jwks_url": server.url + "2"}), first)
    assert elsewhere is not None
    assert not elsewhere.keys


async def test_before_the_first_set_tokens_with_signatures_are_answered_503(server: KeyServer) -> None:
    server.answer = content(b"", 500)
    remote = RemoteKeys(server.url, lambda: Fetcher(private=True))
    authenticator = Authenticator([], "anon", remote=remote)
    await remote.refresh()
    with pytest.raises(KeysMissing) as caught:
        authenticator.caller(head(ONE.token()))
    assert (caught.value.status, caught.value.code, caught.value.headers) == (503, "PGRST300", (("Retry-After", "1"),))
    for other in ("HS256", "none"):
        token = ONE.token().split(".")
        forged = Pair("x", b"x" * 32, ("HS256",)).token() if other == "HS256" else f"eyJhbGciOiJub25lIn0.{token[1]}."
        with pytest.raises(Unauthorized):
            authenticator.caller(head(forged))


def test_a8_a_cached_token_that_expires_is_refused() -> None:
    clock = Clock()
    authenticator = Authenticator([_key(ONE)], "anon", cache_size=10, clock=clock)
    request = head(ONE.token(exp=clock.now + 60))
    assert authenticator.caller(request).role == "authenticated"
    clock.now += 89
    assert authenticator.caller(request).role == "authenticated"
    clock.now += 2
    with pytest.raises(InvalidClaims, match="JWT expired"):
        authenticator.caller(request)
    assert authenticator.cache.hits == 2


def _key(pair: Pair) -> Key:
    return Key(pair.kid, pair.algorithms, pair.private.public_key())


async def test_only_public_keys_for_signatures_are_taken(fetched: Fetched, caplog: pytest.LogCaptureFixture) -> None:
    weak = rsa_pair("weak", 1024)
    fetched.server.serve(
        rsa_pair().jwk(alg="RS512", use="sig", key_ops=["verify"], x5c=["AAAA"], x5u="http://127.0.0.1:9/"),
        edwards_pair().jwk(),
        secret_jwk(b"x" * 64, kid="secret", alg="HS256"),
        OTHER.jwk(private=True),
        # To recover the factors of such a key took a second of CPU for each.
        rsa_pair("flood").jwk(d="A" * 300),
        weak.jwk(),
        curve_pair("ES384").jwk(use="enc"),
        curve_pair("ES384").jwk(key_ops=["deriveKey"]),
        curve_pair("ES384").jwk(alg="ECDH-ES"),
        curve_pair("ES384").jwk(alg="ES256"),
        curve_pair("ES384").jwk(alg="HS256"),
        curve_pair("ES384").jwk(kid=1),
        curve_pair("ES384").jwk(use=["sig"]),
        curve_pair("ES384").jwk(x="AAAA"),
        {"kty": "new"},
        {},
        None,
        "x",
    )
    await fetched.remote.refresh()
    assert [(key.kid, key.algorithms) for key in fetched.keys] == [("rsa", ("RS512",)), ("ed", ("EdDSA",))]
    assert "key 3: a published secret or private key" in caplog.text
    assert "key 4: a published secret or private key" in caplog.text
    assert "key 5: a published secret or private key" in caplog.text
    assert "key 6: the RSA key has 1024 bits and needs 2048" in caplog.text
    assert str(secret_jwk(b"x" * 64)["k"]) not in caplog.text
    keys = KeySet(fetched.keys)
    assert not keys.candidates(None, "HS256")
    assert not keys.candidates("rsa", "RS256")
    assert not keys.candidates("ed", "RS512")
    assert len(keys.candidates(None, "RS512")) == len(keys.candidates("rsa", "RS512")) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 600),
        ({"cache-control": "max-age=900"}, 900),
        ({"cache-control": 'public, MAX-AGE = "900", must-revalidate'}, 900),
        ({"cache-control": "max-age=900", "age": "300"}, 600),
        ({"cache-control": "max-age=900", "age": "-300"}, 900),
        ({"cache-control": "max-age=900", "age": "9" * 5000}, 900),
        ({"cache-control": "max-age=0"}, 60),
        ({"cache-control": "max-age=-1"}, 600),
        ({"cache-control": "max-age=604800"}, 3600),
        ({"cache-control": "max-age=" + "9" * 5000}, 3600),
        ({"cache-control": "s-maxage=900"}, 600),
        ({"cache-control": "no-store, max-age=900"}, 60),
    ],
)
def test_max_age_applies_within_bounds(headers: dict[str, str], seconds: float) -> None:
    assert freshness(headers) == seconds


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("64:ff9b::8.8.8.8", True), ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False), ("127.1.2.3", False), ("0.0.0.1", False), ("10.0.0.1", False), ("172.16.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("100.100.100.200", False),
        ("192.0.0.192", False), ("198.18.0.1", False), ("224.0.0.1", False), ("240.0.0.1", False),
        ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1", False), ("fe80::1%lo", False),
        ("fec0::1", False), ("fc00::1", False), ("fd00:ec2::254", False), ("ff02::1", False), ("2001:db8::1", False),
        ("::ffff:169.254.169.254", False), ("::169.254.169.254", False), ("64:ff9b::169.254.169.254", False),
        ("64:ff9b:1::10.0.0.1", False), ("2002:a9fe:a9fe::1", False), ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("100::1", False),
    ],
)  # fmt: skip
def test_a37_only_addresses_of_the_internet_are_on_the_internet(address: str, good: bool) -> None:
    assert on_internet(ipaddress.ip_address(address)) is good


class Names:
    """A resolver with a list of answers for each name, one for each query."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:  # noqa: ARG002 a resolver's
        self.asked.append(host)
        return self.answers.pop(0)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "10.1.2.3", "::1"])
@pytest.mark.parametrize("public", [[], ["8.8.8.8"]])
async def test_a37_a_name_with_a_private_address_is_not_connected_to(address: str, public: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        fetcher = Fetcher(private=False, resolve=Names([*public, address]))
        with pytest.raises(FetchError, match="not an address on the internet"):
            await fetcher.get(f"https://keys.example:{listening.getsockname()[1]}/")
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "017700000001", "0"])
async def test_a37_this_machine_under_its_other_names_is_not_connected_to(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        fetcher = Fetcher(private=False)
        with pytest.raises(FetchError):
            await fetcher.get(f"https://{host}:{listening.getsockname()[1]}/")
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_a37_a_name_is_resolved_once_and_its_checked_address_connected_to(server: KeyServer) -> None:
    server.serve()
    server.requests.clear()
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    fetcher = Fetcher(private=True, resolve=names)
    await fetcher.get(f"http://rebinding.example:{server.server_port}/")
    assert names.asked == ["rebinding.example"]
    assert server.requests[0]["Host"] == f"rebinding.example:{server.server_port}"
    assert not {"Cookie", "Authorization"} & server.requests[0].keys()
    with pytest.raises(FetchError, match=r"169\.254\.169\.254 is another machine"):
        await fetcher.get(f"http://rebinding.example:{server.server_port}/")
    assert len(server.requests) == 1


async def test_a37_the_setting_decides_about_private_addresses(
    server: KeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.serve(ONE.jwk())
    server.requests.clear()
    for allowed in (False, True):
        settings = Settings.model_validate({"jwks_url": server.url, "jwks_private_addresses": allowed})
        remote = RemoteKeys.of(settings)
        assert remote is not None
        await remote.refresh()
        assert remote.known is allowed
        assert len(server.requests) == allowed
    assert "127.0.0.1 is not an address on the internet" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://keys.example/", "gopher://keys.example/", "keys.example", "https://", "https:///x",
        "http://keys.example/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/",
        "http://127.0.0.1.keys.example/", "http://localhost.keys.example/", "https://user:s3cret@keys.example/",
        "https://keys.example@127.0.0.1/", "https://keys.example#@127.0.0.1/", "https://keys.example:0/",
        "https://keys.example:99999/", "https://keys.example\\@127.0.0.1/", "https://keys.example/\n", "https://a b/",
        "https://k\u00e9ys.example/", "http://127.0.0.1@keys.example/", "\x00https://keys.example/",
    ],
)  # fmt: skip
def test_a37_an_address_that_may_lead_elsewhere_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    if "\0" not in url:
        monkeypatch.setenv("PGMQ_GATEWAY_JWKS_URL", url)
        with pytest.raises(SettingsError, match=r"^PGMQ_GATEWAY_JWKS_URL: ") as caught:
            load_settings()
        assert "s3cret" not in str(caught.value)
    with pytest.raises(ValidationError):
        Settings(jwks_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example/keys?tenant=1",
        "https://127.0.0.1/",
        "http://localhost:1/",
        "http://[::1]/",
        "http://127.0.0.1",
    ],
)
def test_a37_other_addresses_are_fetched_from_if_they_are_where_they_say(url: str) -> None:
    assert Settings(jwks_url=url).jwks_url == url


async def test_a37_proxies_of_the_environment_are_not_asked(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.serve()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, server.url)
    server.requests.clear()
    fetcher = Fetcher(private=True, resolve=Names(["127.0.0.1"]))
    with pytest.raises(FetchError):
        await fetcher.get("http://keys.example:9/")
    assert not server.requests


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts: of a server of this name, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    both = folder / name
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(pem + private)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(both)
    return shown, ssl.create_default_context(cadata=pem.decode())


async def test_a37_the_certificate_is_that_of_the_name_and_not_of_the_address(tmp_path: Path) -> None:
    shown, trusted = certificate(tmp_path, "keys.example")
    with running(shown) as server:
        server.serve(ONE.jwk())

        async def get(host: str, trusted: ssl.SSLContext | None) -> bytes:
            fetcher = Fetcher(private=True, resolve=Names(["127.0.0.1"]), trusted=trusted)
            return (await fetcher.get(f"https://{host}:{server.server_port}/")).body

        assert b'"one"' in await get("keys.example", trusted)
        for host, trust in (("other.example", trusted), ("127.0.0.1", trusted), ("keys.example", None)):
            with pytest.raises(FetchError, match="CERTIFICATE_VERIFY_FAILED"):
                await get(host, trust)
