"""Secrets, JWKs and JWK sets in the settings: rejected ones, and rotation."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from pgmq_gateway.auth.authenticator import Authenticator
from pgmq_gateway.auth.jwk import BadKey, from_jwk
from pgmq_gateway.auth.keyset import KeySet, own_keys, parsed
from pgmq_gateway.auth.signing import Signer, api_key, derived_keys, token
from pgmq_gateway.errors import Unauthorized
from pgmq_gateway.http.request import Head
from pgmq_gateway.settings.model import Settings, SettingsError, load_settings
from tests.server import SECRET
from tests.signing import Pair, curve_pair, edwards_pair, rsa_pair, secret_jwk

PEM = rsa_pair().private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
BYTES = bytes(range(64))


def made(**values: object) -> Settings:
    """Settings with these values."""
    return Settings.model_validate(values)


def a_set(*keys: object) -> str:
    """A JWK set."""
    return json.dumps({"keys": keys})


WEAK: dict[str, tuple[str, str]] = {
    "short": ("x" * 31, "the secret has 31 bytes and needs at least 32"),
    "empty": ("", "is not set"),
    "short in a JWK": (json.dumps(secret_jwk(b"x" * 31)), "key 1: k has 31 bytes and needs at least 32"),
    "short for HS384": (a_set(secret_jwk(BYTES[:47], alg="HS384")), "key 1: kty, crv or size does not fit alg"),
    "short for HS512": (a_set(secret_jwk(BYTES[:63], alg="HS512")), "key 1: kty, crv or size does not fit alg"),
    "an RSA key of 1024 bits": (
        a_set(rsa_pair("weak", 1024).jwk()),
        "key 1: the RSA key has 1024 bits and needs 2048 to 8192",
    ),
    "a public key as text": (PEM, "a public key or a certificate cannot be a secret"),
    "an SSH key as text": ("ssh-rsa " + "A" * 64, "a public key or a certificate cannot be a secret"),
    "a set with a mistake": (a_set(rsa_pair().jwk())[:-1], "invalid JSON"),
    "a list of keys": (json.dumps([rsa_pair().jwk()]), "neither a JWK nor a JWK set"),
    "keys that are not a list": (json.dumps({"keys": rsa_pair().jwk()}), "neither a JWK nor a JWK set"),
    "a member twice": ('{"kty": "oct", "kty": "oct", "k": "' + "A" * 64 + '"}', "invalid JSON"),
    "a set of none": (a_set() + " " * 32, "the set has no key that verifies tokens"),
    "only for encryption": (a_set(rsa_pair().jwk(use="enc")), "the set has no key that verifies tokens"),
    "one kid twice": (a_set(rsa_pair().jwk(), edwards_pair().jwk(kid="rsa")), "two keys have the kid 'rsa'"),
    "an unknown kty": (a_set({"kty": "new", "x": "A" * 32}), "key 1: kty must be one of oct, RSA, EC, OKP"),
    "not an object": (a_set(rsa_pair().jwk(), "x"), "key 2: a key must be a JSON object"),
    "half a key": (a_set(curve_pair().jwk(y=None)), "key 1: the members of kty EC are missing or invalid"),
    "off the curve": (a_set(curve_pair().jwk(y="A" * 43)), "key 1: the members of kty EC are missing or invalid"),
    "another curve": (a_set(curve_pair().jwk(crv="P-384")), "key 1: the members of kty EC are missing or invalid"),
    "a curve of no algorithm": (
        a_set(Pair("k1", ec.generate_private_key(ec.SECP256K1()), ("ES256",)).jwk()),
        "key 1: crv must be P-256, P-384 or P-521",
    ),
    "another algorithm": (a_set(curve_pair().jwk(alg="ES384")), "key 1: kty, crv or size does not fit alg"),
    "a secret's algorithm": (a_set(rsa_pair().jwk(alg="HS256")), "key 1: kty, crv or size does not fit alg"),
    "a kid that is not a string": (a_set(rsa_pair().jwk(kid=["rsa"])), "key 1: kid must be a string"),
}


@pytest.mark.parametrize(("secret", "message"), WEAK.values(), ids=WEAK.keys())
def test_a13_a_weak_or_mistyped_secret_is_refused(monkeypatch: pytest.MonkeyPatch, secret: str, message: str) -> None:
    variables = ["PGRST_JWT_SECRET", "PGMQ_GATEWAY_JWT_PREVIOUS_SECRET"]
    for variable in variables if secret else variables[:1]:
        for name in variables:
            monkeypatch.setenv(name, "y" * 32 + name)
        monkeypatch.setenv(variable, secret)
        with pytest.raises(SettingsError) as caught:
            own_keys(load_settings())
        assert str(caught.value).startswith(f"{variable}")
        assert message in str(caught.value)
        assert not secret or secret[8:] not in str(caught.value)


@pytest.mark.parametrize("secret", ["x" * 32, "{" * 40, "[not a set, but a secret of a good length]", '{"a": "b"}' * 4])
def test_a_text_is_a_secret_for_one_algorithm(secret: str) -> None:
    (key,) = parsed(secret, is_base64=False)
    assert (key.kid, key.algorithms, key.verifying) == (None, ("HS256",), secret.encode())


def test_a_secret_in_base64_is_decoded_also_one_that_is_a_set() -> None:
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        (key,) = parsed(alphabet(BYTES).decode(), is_base64=True)
        assert key.verifying == BYTES
    (key,) = parsed(base64.b64encode(a_set(rsa_pair().jwk()).encode()).decode(), is_base64=True)
    assert key.kid == "rsa"
    for wrong, message in (("!" * 40, "not base64"), (base64.b64encode(b"x" * 31).decode(), "has 31 bytes")):
        with pytest.raises(BadKey, match=message):
            parsed(wrong, is_base64=True)


def test_a_set_in_base64_must_be_text() -> None:
    with pytest.raises(BadKey, match="not text in UTF-8"):
        parsed(base64.b64encode(b'{"kty": "oct", "k": "' + b"\xff" * 40 + b'"}').decode(), is_base64=True)


def test_a_key_is_for_what_its_size_its_alg_and_its_uses_allow() -> None:
    cases: list[tuple[dict[str, object], tuple[str, ...]]] = [
        (secret_jwk(BYTES[:32]), ("HS256",)),
        (secret_jwk(BYTES[:48]), ("HS256", "HS384")),
        (secret_jwk(BYTES), ("HS256", "HS384", "HS512")),
        (secret_jwk(BYTES, alg="HS384", key_ops=["sign"]), ("HS384",)),
        (rsa_pair().jwk(), ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (rsa_pair().jwk(alg="PS512", use="sig", key_ops=["verify"]), ("PS512",)),
        (curve_pair("ES512").jwk(), ("ES512",)),
        (edwards_pair().jwk(alg="EdDSA"), ("EdDSA",)),
    ]
    for jwk, algorithms in cases:
        assert from_jwk(jwk).algorithms == algorithms
    assert from_jwk(curve_pair().jwk()).signing is None
    assert from_jwk(curve_pair().jwk(private=True)).signing is not None
    assert from_jwk(curve_pair().jwk(private=True, key_ops=["verify"])).signing is None
    assert "\\x01" not in repr(from_jwk(secret_jwk(BYTES)))


def edwards_jwk(curve: str, encoded: int) -> dict[str, object]:
    """The JWK of a point: y, and the sign of x as the highest bit."""
    x = encoded.to_bytes({"Ed25519": 32, "Ed448": 57}[curve], "little")
    return {"kty": "OKP", "crv": curve, "x": base64.urlsafe_b64encode(x).rstrip(b"=").decode()}


P25519, P448 = 2**255 - 19, 2**448 - 2**224 - 1
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# y of the points of small order, then y as y + p.
REFUSED_POINTS = {
    "Ed25519": (1 << 255, (0, 1, P25519 - 1, ORDER_8, P25519 - ORDER_8, P25519, P25519 + 1, P25519 + 3, 2**255 - 1)),
    "Ed448": (1 << 455, (0, 1, P448 - 1, P448, P448 + 1, 2**448 - 1, 2**454)),
}


@pytest.mark.parametrize("curve", REFUSED_POINTS)
def test_a13_a_point_of_small_order_or_of_two_forms_is_no_key(curve: str) -> None:
    """With the point 1 as the key, the point 1 with the number 0 is a signature of every text."""
    sign, refused = REFUSED_POINTS[curve]
    for y in refused:
        for encoded in (y, y | sign):
            with pytest.raises(BadKey):
                from_jwk(edwards_jwk(curve, encoded))


@pytest.mark.parametrize("exponent", [1, 2, 65536, 2**64 + 1, 2**2000 + 1])
def test_a13_an_rsa_exponent_is_odd_and_short(exponent: int) -> None:
    e = base64.urlsafe_b64encode(exponent.to_bytes(exponent.bit_length() // 8 + 1)).rstrip(b"=").decode()
    with pytest.raises(BadKey):
        from_jwk(rsa_pair().jwk(e=e))


WORDS = ("oct", "RSA", "EC", "OKP", "P-256", "P-521", "Ed25519", "Ed448", "sig", "verify", "RS256", "AQAB")
JWK_VALUES = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=50),
    st.lists(st.text(max_size=9), max_size=3),
    st.sampled_from(WORDS),
    st.binary(max_size=300).map(lambda data: base64.urlsafe_b64encode(data).decode()),
)
MEMBERS = ("kty", "kid", "alg", "use", "key_ops", "n", "e", "d", "p", "q", "dp", "dq", "qi", "crv", "x", "y", "k")
GOOD = [rsa_pair().jwk(), curve_pair().jwk(), edwards_pair().jwk(), curve_pair().jwk(private=True), secret_jwk(BYTES)]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([{}, *GOOD]), st.dictionaries(st.sampled_from(MEMBERS), JWK_VALUES, max_size=6))
def test_whatever_is_written_in_a_jwk_it_is_a_key_or_refused(good: dict[str, Any], more: dict[str, Any]) -> None:
    try:
        key = from_jwk({**good, **more})
    except BadKey:
        return
    assert key.algorithms
    # A public key must never be used as a secret, nor a secret as a public key (algorithm confusion).
    assert all(name.startswith("HS") for name in key.algorithms) is isinstance(key.verifying, bytes)


def test_neither_kid_nor_algorithm_of_a_token_is_more_than_looked_up() -> None:
    keys = KeySet(parsed(a_set(rsa_pair().jwk(), secret_jwk(BYTES, kid="s")), is_base64=False))
    for kid in ("RSA", "rsa ", "", "../../dev/null", "' or 1=1", "__class__", "x" * 100_000):
        assert not keys.candidates(kid, "RS256")
    for algorithm in ("none", "HS256 ", "rs256", "", "__class__", "ES256"):
        assert not keys.candidates("rsa", algorithm)
    assert not keys.candidates("rsa", "HS256")
    assert not keys.candidates("s", "RS256")
    assert [key.kid for key in keys.candidates(None, "HS256")] == ["s"]


def role(authenticator: Authenticator, token: str) -> str:
    """The role of a token's caller."""
    return authenticator.caller(Head("POST", b"/", b"", ((b"authorization", f"Bearer {token}".encode()),))).role


def test_a8_with_a_previous_secret_both_are_taken_and_without_it_only_the_new_one() -> None:
    old, new = "the old secret, good until it is not named", "the new secret, which signs from now on"
    before = made(jwt_secret=old)
    during = made(jwt_secret=new, jwt_previous_secret=old)
    after = made(jwt_secret=new)
    tokens = {name: api_key(Signer.of(at), "anon") for name, at in (("old", before), ("new", during))}
    assert tokens["new"] == api_key(new.encode(), "anon") == api_key(Signer.of(after), "anon")
    for at, good in ((before, ["old"]), (during, ["old", "new"]), (after, ["new"])):
        authenticator = Authenticator.of(at)
        for name, signed in tokens.items():
            if name in good:
                assert role(authenticator, signed) == "anon"
            else:
                with pytest.raises(Unauthorized, match="No suitable key or wrong key type"):
                    role(authenticator, signed)


def test_keys_made_of_the_secrets_live_as_long_as_they_do() -> None:
    old, new = "the old secret, good until it is not named", "the new secret, which signs from now on"
    before, during, after = (
        derived_keys(made(**values))
        for values in ({"jwt_secret": old}, {"jwt_secret": new, "jwt_previous_secret": old}, {"jwt_secret": new})
    )
    assert during[0] == (*after[0], *before[0])
    assert during[1] == (*after[1], before[1][0].replace("default=", "previous="))


def test_one_key_of_a_set_can_be_rotated_with_the_others_in_both() -> None:
    kept, old, new = curve_pair(), edwards_pair("old"), edwards_pair("new")
    at = made(jwt_secret=a_set(new.jwk(), kept.jwk()), jwt_previous_secret=a_set(old.jwk(), kept.jwk()))
    assert [key.kid for key in own_keys(at)] == ["new", "es256", "old"]
    with pytest.raises(SettingsError, match="PGMQ_GATEWAY_JWT_PREVIOUS_SECRET: two keys have the kid 'new'"):
        own_keys(made(jwt_secret=a_set(new.jwk()), jwt_previous_secret=a_set(old.jwk(kid="new"))))


def test_what_is_signed_is_signed_with_the_first_key_that_can() -> None:
    for private, algorithm in ((curve_pair(), "ES256"), (edwards_pair(), "EdDSA"), (rsa_pair(), "RS256")):
        secret = a_set(curve_pair("ES512").jwk(), private.jwk(private=True), secret_jwk(BYTES, kid="s"))
        at = made(jwt_secret=secret, jwt_issuer="https://id.example, other")
        signed = token(Signer.of(at), "authenticated", {"sub": "ann"}, 60)
        assert jwt.get_unverified_header(signed) == {"alg": algorithm, "kid": private.kid, "typ": "JWT"}
        assert role(Authenticator.of(at), signed) == "authenticated"
        claims = jwt.decode(signed, private.private.public_key(), [algorithm], issuer="https://id.example")
        assert (claims["sub"], claims["exp"] - claims["iat"]) == ("ann", 60)
        assert role(Authenticator.of(at), api_key(Signer.of(at), "service_role")) == "service_role"
        assert derived_keys(at) == derived_keys(at)
    assert jwt.get_unverified_header(api_key(SECRET.encode(), "anon")) == {"alg": "HS256", "typ": "JWT"}


def test_nothing_is_signed_where_there_are_public_keys_only() -> None:
    url = "https://id.example/keys"
    for values, message in (
        ({"jwt_secret": a_set(rsa_pair().jwk())}, "PGRST_JWT_SECRET has public keys only: tokens cannot be signed"),
        ({"jwks_url": url}, "PGRST_JWT_SECRET is not set: tokens cannot be signed"),
        ({"jwks_url": url, "jwt_previous_secret": SECRET}, "PGRST_JWT_SECRET is not set"),
    ):
        at = made(**values)
        assert own_keys(at) or at.jwks_url
        with pytest.raises(SettingsError, match=message):
            Signer.of(at)
        with pytest.raises(SettingsError, match=message):
            derived_keys(at)
    assert Signer.typed(SECRET, is_base64=False) == Signer("HS256", SECRET.encode())
    with pytest.raises(BadKey, match="public keys cannot sign tokens"):
        Signer.typed(a_set(rsa_pair().jwk()), is_base64=False)
    with pytest.raises(SettingsError, match="PGRST_JWT_SECRET is not set, and it has no default"):
        own_keys(made(jwt_previous_secret=SECRET))
