"""PostgREST's configuration file: parsed as by PostgREST, and round trips."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgmq_gateway.settings.configfile import ConfigFileError, assignment, parse, read

NAMES = st.from_regex(r"[a-z](-?[a-z0-9_]){0,8}(\.[a-z][a-zA-Z0-9_]{0,8}){0,2}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers(min_value=0) | st.floats(min_value=0, allow_infinity=False, allow_nan=False)


def values(text: str, **variables: str) -> dict[str, str]:
    return {entry.name: entry.value for entry in parse(text, variables)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("  # only a comment", {}),
        ('db-uri = "postgres://x"', {"db-uri": "postgres://x"}),
        ('a="1"#c\r\nb\t=\t2 # c\n\n\nc = 3', {"a": "1", "b": "2", "c": "3"}),
        ("a = true\nb = false\nc = on\nd = off", {"a": "true", "b": "false", "c": "true", "d": "false"}),
        ("a = 1e3\nb = 1.50\nc = -2\nd = 2.0", {"a": "1000", "b": "1.50", "c": "-2", "d": "2"}),
        ('app.settings.x_Y = "z"', {"app.settings.x_Y": "z"}),
        (r'a = "\"\\\n\r\t\u00e9\ud83d\ude00"', {"a": '"\\\n\r\té😀'}),
        ('a = "# no comment"', {"a": "# no comment"}),
        ('a = "two\nlines"\nb = 1', {"a": "two\nlines", "b": "1"}),
        ("a # c\n= # c\n 1 # c", {"a": "1"}),
        ('a = "1"\na = "2"', {"a": "2"}),
        ('a = ""', {"a": ""}),
    ],
)
def test_a_file_is_read(text: str, expected: dict[str, str]) -> None:
    assert values(text) == expected


def test_variables_and_earlier_settings_are_substituted() -> None:
    text = 'port = 5432\nuri = "postgres://$(USER)@$(HOST):$(port)/$$x"\nport = 1'
    assert values(text, USER="u", HOST="h", port="no")["uri"] == "postgres://u@h:5432/$x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\nx", '3: not an assignment: write name = "value"'),
        ("x y = 1", '1: not an assignment: write name = "value"'),
        ("= 1", '1: not an assignment: write name = "value"'),
        ("x. = 1", '1: not an assignment: write name = "value"'),
        ('x {\n y = "s3cret"\n}', '1: not an assignment: write name = "value" (groups and import are not supported)'),
        ('import "s3cret"', "1: not an assignment"),
        (
            'a = "x\ny"\nx = s3cret',
            "3: the value of x is neither a number nor true or false: write it in double quotes",
        ),
        ("x = 's3cret'", "1: the value of x is neither a number"),
        ('x = "s3cret', "1: the value of x is neither a number"),
        ('x = "a" "s3cret"', "1: the value of x is neither a number"),
        ('x = ["a", "s3cret"]', "1: the value of x is neither a number"),
        ("x = 12s3cret", "1: the value of x is neither a number"),
        ("x = truest", "1: the value of x is neither a number"),
        ("x =\ny = 1", "1: the value of x is neither a number"),
        (r'x = "s3cret\q"', r"1: the value of x has an unknown escape: write \\ for a backslash"),
        (r'x = "s3cret\u12"', "1: the value of x has an unknown escape"),
        (r'x = "s3cret\ud800"', "1: the value of x has an unknown escape"),
        (r'x = "s3cret\u0000"', "1: the value of x has an unknown escape"),
        ('x = "s3cret$1"', "1: the value of x has a single $: write $$ for a dollar sign, or $(VARIABLE)"),
        ('x = "s3cret$(A"', "1: the value of x has a single $"),
        ('x = "s3cret$(A)"', "1: the value of x refers to A, which is not set: set this environment variable"),
    ],
)
def test_an_error_names_its_line_and_never_the_value(text: str, message: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        values(text)
    assert str(caught.value).startswith(message)
    assert "s3cret" not in str(caught.value)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    with pytest.raises(ConfigFileError, match=rf"cannot read the configuration file {path}: No such file"):
        read(path)
    path.write_bytes(b'x = "\xff"')
    with pytest.raises(ConfigFileError, match=rf"{path} is not text in UTF-8"):
        read(path)
    path.write_text("\ufeffx = 1\ny")
    with pytest.raises(ConfigFileError, match=rf"{path}:2: not an assignment"):
        read(path)


@given(st.dictionaries(NAMES, TEXTS))
def test_round_trip_of_texts(settings: dict[str, str]) -> None:
    assert values("\n".join(assignment(name, value) for name, value in settings.items())) == settings


@given(NUMBERS)
def test_round_trip_of_numbers(number: float) -> None:
    assert type(number)(values(assignment("x", number))["x"]) == number
