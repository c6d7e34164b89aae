"""Paths of the role claim: every kind of step, and invalid paths."""

import pytest

from pgmq_gateway.settings.roleclaim import MISSING, RoleClaim

CLAIMS = {
    "role": "a",
    "app": {"roles": ["x", "web_anon", "pg_user"], "a-b": {"$r@_1": "b"}},
    "https://example.org/roles": ["c"],
    "null": None,
    "list": [1, {"role": "d"}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".role", "a"), ("$.role", "a"), ('."role"', "a"), ('$["role"]', "a"), (" .role ", "a"),
        (".app.roles[0]", "x"), (".app.roles[3]", MISSING), (".app.roles.x", MISSING), (".role[0]", MISSING),
        ('.app."a-b".$r@_1', "b"), ('."https://example.org/roles"[0]', "c"), (".list[1].role", "d"),
        ('.app.roles[?(@ == "web_anon")]', "web_anon"), ('.app.roles[?(@ != "x")]', "web_anon"),
        ('.app.roles[?(@ ^== "pg_")]', "pg_user"), ('.app.roles[?(@ ==^ "anon")]', "web_anon"),
        ('.app.roles[?(@ *== "_a")]', "web_anon"), ('.app.roles[?(@ == "nobody")]', MISSING),
        ('.role[?(@ == "a")]', MISSING), ('.list[?(@ == "1")]', MISSING), (".null", None), (".null.role", MISSING),
        (".nothing", MISSING),
    ],
)  # fmt: skip
def test_a_path_selects_a_value_of_the_claims(path: str, found: object) -> None:
    assert RoleClaim.of(path).find(CLAIMS) == found


@pytest.mark.parametrize("path", ["", "role", "$", ".", "..role", ".role.", ".a-b", ".a[x]", ".a[?(@ = 'x')]", '."a'])
def test_an_invalid_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"is not part of a path: write \.role or"):
        RoleClaim.of(path)
