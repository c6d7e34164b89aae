"""The key layer: accepted and rejected credentials."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgmq_gateway.auth.apikeys import KeyRefused, KeyRing, derived
from pgmq_gateway.settings.model import load_settings

PUBLISHABLE, SECRET, OTHER = "sb_publishable_one", "sb_secret_one", "sb_secret_two"
RING = KeyRing((PUBLISHABLE,), {"one": SECRET, "two": OTHER})
TOKEN = "header.claims.signature"


@pytest.mark.parametrize(
    ("authorization", "key", "token", "kind"),
    [
        (None, PUBLISHABLE, None, "publishable"),
        (None, SECRET, None, "secret"),
        (None, OTHER, None, "secret"),
        (None, TOKEN, TOKEN, None),
        (f"Bearer {PUBLISHABLE}", PUBLISHABLE, None, "publishable"),
        (f"bearer  {SECRET}", SECRET, None, "secret"),
        (f"Bearer {TOKEN}", PUBLISHABLE, TOKEN, None),
        (f"Bearer {TOKEN}", SECRET, TOKEN, None),
        (f"Bearer {TOKEN}", "a.legacy.key", TOKEN, None),
        (f"Bearer {TOKEN}", None, TOKEN, None),
        ("Basic dTpw", SECRET, None, None),
        ("Basic dTpw", TOKEN, TOKEN, None),
        ("Bearer", PUBLISHABLE, "", None),
    ],
)
def test_credentials(authorization: str | None, key: str | None, token: str | None, kind: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    assert RING.credential(headers, key) == (token, kind)


def refused(key: str | None, **headers: str) -> dict[str, Any]:
    """The body of the error response."""
    with pytest.raises(KeyRefused) as caught:
        RING.credential({name.replace("_", "-"): value for name, value in headers.items()}, key)
    assert caught.value.status == 401
    body: dict[str, Any] = json.loads(caught.value.body())
    assert list(body) == ["message", "hint"]
    return body


@pytest.mark.parametrize(
    "authorization", [None, "", "x", "Basic dTpw", "Bearer", "bearer", "Bearer ", "Bearer   ", "Bearer\tx", "a.b.c"]
)
def test_no_key(authorization: str | None) -> None:
    body = refused(None, **({} if authorization is None else {"authorization": authorization}))
    assert body["message"] == "No API key found in request"
    assert body["hint"] == "No `apikey` request header or url param was found."


def test_a_short_error_has_no_hint() -> None:
    with pytest.raises(KeyRefused) as caught:
        RING.credential({}, None)
    assert json.loads(caught.value.body(verbose=False)) == {"message": "No API key found in request"}


@pytest.mark.parametrize(
    "key", ["", "x", "sb_publishable_", f"{SECRET}x", SECRET[:-1], SECRET.upper(), "one", "sb_a.b.c", "é"]
)
def test_an_unknown_key(key: str) -> None:
    body = refused(key)
    assert body["message"] == "Invalid API key"
    assert body["hint"] == "Double check your Supabase `anon` or `service_role` API key."


def test_a_bearer_key_must_be_the_key() -> None:
    assert refused(PUBLISHABLE, authorization=f"Bearer {SECRET}")["message"] == "Invalid API key"
    assert refused(SECRET, authorization=f"Bearer {OTHER}")["message"] == "Invalid API key"
    assert refused(None, authorization=f"Bearer {SECRET}")["message"] == "Invalid API key"


@pytest.mark.parametrize("authorization", ["", "x", "Basic dTpw"])
def test_an_unknown_key_is_refused_with_any_authorization(authorization: str) -> None:
    assert refused("", authorization=authorization)["message"] == "Invalid API key"


def test_an_unknown_key_is_refused_with_a_token_too() -> None:
    assert refused("nonsense", authorization=f"Bearer {TOKEN}")["message"] == "Invalid API key"


def test_a_secret_key_is_refused_to_a_browser() -> None:
    assert refused(SECRET, user_agent="Mozilla/5.0 (X11)")["message"] == "Forbidden use of secret API key in browser"
    assert RING.credential({"user-agent": "Mozilla/5.0"}, PUBLISHABLE) == (None, "publishable")
    assert RING.credential({"user-agent": "node"}, SECRET) == (None, "secret")


@given(st.text())
def test_any_key_is_a_token_or_refused(key: str) -> None:
    try:
        token, kind = RING.credential({}, key)
    except KeyRefused:
        return
    assert (token, kind) == (key, None) or key in (PUBLISHABLE, SECRET, OTHER)


def test_derived_keys_belong_to_the_secret() -> None:
    first, second = derived(b"a" * 32), derived(b"b" * 32)
    assert first == derived(b"a" * 32)
    assert len({*first, *second}) == 4
    assert first[0].startswith("sb_publishable_")
    assert first[1].startswith("sb_secret_")
    assert KeyRing((first[0],), {"default": first[1]}).credential({}, first[1]) == (None, "secret")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"PUBLISHABLE_KEYS": f"{PUBLISHABLE}, x"}, KeyRing((PUBLISHABLE, "x"), {})),
        ({"SECRET_KEYS": f"one={SECRET}, two=a=b"}, KeyRing((), {"one": SECRET, "two": "a=b"})),
        ({"PUBLISHABLE_KEYS": PUBLISHABLE, "KEY_LAYER": "off"}, None),
        ({"KEY_LAYER": "on"}, KeyRing((), {})),
        ({"KEY_LAYER": ""}, None),
    ],
)
def test_the_key_ring_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: KeyRing | None
) -> None:
    for name in ("PUBLISHABLE_KEYS", "SECRET_KEYS", "KEY_LAYER"):
        monkeypatch.delenv(f"PGMQ_GATEWAY_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(f"PGMQ_GATEWAY_{name}", value)
    assert KeyRing.of(load_settings()) == expected
