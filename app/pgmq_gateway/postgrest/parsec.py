"""Parser combinators with the semantics and error messages of Haskell's Parsec.

PostgREST parses query strings with Parsec and sends its error messages to clients: the position, the unexpected input
and the expected alternatives. To produce the same messages this module follows Parsec's rules: an alternative is tried
only if the one before failed without consuming input, `attempt` makes a failed parser count as not having consumed, and
of two errors the one at the later position is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Fault(NamedTuple):
    """A parse error, as Parsec merges and prints it.

    found     unexpected input; empty for the end of the text
    refused   input that a rule excludes (`not_followed_by`)
    expected  labels of the alternatives
    """

    place: int
    found: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()

    @property
    def unknown(self) -> bool:
        """True if it has a position and no messages."""
        return not (self.found or self.refused or self.expected)

    def merge(self, other: Fault) -> Fault:
        """The error at the later position, or the messages of both at the same one."""
        if other.unknown or (self.place > other.place and not self.unknown):
            return self
        if self.unknown or self.place < other.place:
            return other
        return Fault(
            self.place,
            self.found + other.found,
            self.refused + other.refused,
            self.expected + other.expected,
        )

    def __str__(self) -> str:
        """The message, in Parsec's words."""
        if self.refused:
            found = f"unexpected {_listed(self.refused)}"
        else:
            found = f"unexpected {self.found[0] or 'end of input'}" if self.found else ""
        expected = f"expecting {_listed(self.expected)}" if any(self.expected) else ""
        return " ".join(part for part in (found, expected) if part) or "unknown parse error"


def _listed(texts: Iterable[str]) -> str:
    *first, last = dict.fromkeys(text for text in texts if text)
    return f"{', '.join(first)} or {last}" if first else last


class Reply(NamedTuple, Generic[T]):
    """The result of a parser: the position after it, whether it consumed input, its error so far, and its value."""

    place: int
    consumed: bool
    fault: Fault
    value: T | None = None
    failed: bool = False


Parser = Callable[[str, int], "Reply[T]"]


class ParseError(Exception):
    """A text that does not parse. `line` and `column` count from 1; a tab stop is eight columns wide."""

    def __init__(self, text: str, fault: Fault) -> None:
        super().__init__(str(fault))
        before = text[: fault.place]
        self.line = before.count("\n") + 1
        self.column = len(before.rpartition("\n")[2].expandtabs(8)) + 1


def parse(parser: Parser[T], text: str) -> T:
    """The value of a prefix of `text`. Raises ParseError."""
    reply = parser(text, 0)
    if reply.failed:
        raise ParseError(text, reply.fault)
    return reply.value  # type: ignore[return-value]


def sequence(make: Callable[..., T], *parsers: Parser[Any]) -> Parser[T]:
    """Parsers one after the other; `make` combines their values."""

    def run(text: str, place: int) -> Reply[T]:
        values, consumed, fault = [], False, Fault(place)
        for parser in parsers:
            reply = parser(text, place)
            fault = reply.fault if reply.consumed else fault.merge(reply.fault)
            consumed |= reply.consumed
            if reply.failed:
                return Reply(place, consumed, fault, failed=True)
            place = reply.place
            values.append(reply.value)
        return Reply(place, consumed, fault, make(*values))

    return run


def before(parser: Parser[T], *others: Parser[Any]) -> Parser[T]:
    """The value of `parser`, followed by `others`."""
    return sequence(lambda value, *_: value, parser, *others)


def after(*parsers: Parser[Any]) -> Parser[Any]:
    """The value of the last parser."""
    return sequence(lambda *values: values[-1], *parsers)


def between(opening: Parser[Any], parser: Parser[T], closing: Parser[Any]) -> Parser[T]:
    """The value of `parser` between two others."""
    return sequence(lambda _, value, __: value, opening, parser, closing)


def meaning(value: T, *parsers: Parser[Any]) -> Parser[T]:
    """Parsers one after the other, with a fixed value."""
    return sequence(lambda *_: value, *parsers)


def lazy(parser: Callable[[], Parser[T]]) -> Parser[T]:
    """A parser that is defined later, for recursion."""
    return lambda text, place: parser()(text, place)


def satisfy(accepts: Callable[[str], bool]) -> Parser[str]:
    """One character."""

    def run(text: str, place: int) -> Reply[str]:
        if place < len(text) and accepts(text[place]):
            return Reply(place + 1, True, Fault(place + 1), text[place])
        found = shown(text[place]) if place < len(text) else ""
        return Reply(place, False, Fault(place, (found,)), failed=True)

    return run


def span(characters: str, *expected: str, least: int = 0) -> Parser[str]:
    """The longest run of a class of characters (a regular expression); `expected` labels the class in messages."""
    pattern = re.compile(f"(?:{characters})*", re.DOTALL)

    def run(text: str, place: int) -> Reply[str]:
        match = pattern.match(text, place)
        last = match.end() if match else place
        found = shown(text[last]) if last < len(text) else ""
        value = text[place:last]
        return Reply(last, last > place, Fault(last, (found,), (), expected), value, failed=len(value) < least)

    return run


def char(character: str) -> Parser[str]:
    """This character."""
    return label(satisfy(lambda found: found == character), shown(character))


def string(word: str) -> Parser[str]:
    """This word. A partial match has consumed input, as in Parsec."""

    def run(text: str, place: int) -> Reply[str]:
        matched = next((n for n, c in enumerate(word) if text[place + n : place + n + 1] != c), len(word))
        if matched == len(word):
            return Reply(place + matched, True, Fault(place + matched), word)
        found = shown(text[place + matched]) if place + matched < len(text) else ""
        return Reply(place, matched > 0, Fault(place, (found,), (), (shown(word),)), failed=True)

    return run


def pure(value: T) -> Parser[T]:
    """Succeeds with a value, without consuming."""
    return lambda _, place: Reply(place, False, Fault(place), value)


def unless(parser: Parser[T], value: T) -> Parser[T]:
    """Fails without a message if the parser's value is `value`."""

    def run(text: str, place: int) -> Reply[T]:
        reply = parser(text, place)
        return (
            reply if reply.failed or reply.value != value else Reply(place, reply.consumed, Fault(place), failed=True)
        )

    return run


def attempt(parser: Parser[T]) -> Parser[T]:
    """A failure counts as not having consumed (Parsec's `try`)."""

    def run(text: str, place: int) -> Reply[T]:
        reply = parser(text, place)
        return reply._replace(consumed=False) if reply.failed else reply

    return run


def label(parser: Parser[T], name: str) -> Parser[T]:
    """Replaces the expected alternatives of a failure that has not consumed by `name` (Parsec's `<?>`)."""

    def run(text: str, place: int) -> Reply[T]:
        reply = parser(text, place)
        if reply.consumed or (reply.fault.unknown and not reply.failed):
            return reply
        return reply._replace(fault=reply.fault._replace(expected=(name,)))

    return run


def either(*parsers: Parser[Any]) -> Parser[Any]:
    """The first parser that succeeds; one that fails after consuming ends the search (Parsec's `<|>`)."""

    def both(first: Parser[Any], second: Parser[Any]) -> Parser[Any]:
        def run(text: str, place: int) -> Reply[Any]:
            reply = first(text, place)
            if reply.consumed or not reply.failed:
                return reply
            other = second(text, place)
            return other if other.consumed else other._replace(fault=reply.fault.merge(other.fault))

        return run

    return reduce(both, parsers)


def option(default: U, parser: Parser[T]) -> Parser[T | U]:
    """`default` if the parser fails without consuming."""
    return either(parser, pure(default))


def many(parser: Parser[T]) -> Parser[list[T]]:
    """Zero or more."""

    def run(text: str, place: int) -> Reply[list[T]]:
        values: list[T] = []
        while True:
            reply = parser(text, place)
            if reply.failed and reply.consumed:
                return Reply(place, True, reply.fault, failed=True)
            if reply.failed:
                return Reply(place, bool(values), reply.fault, values)
            values.append(reply.value)  # type: ignore[arg-type]
            place = reply.place

    return run


def separated(item: Parser[T], separator: Parser[Any]) -> Parser[list[T]]:
    """One or more, with separators."""
    return sequence(lambda first, more: [first, *more], item, many(after(separator, item)))


def followed_by(parser: Parser[Any]) -> Parser[None]:
    """Succeeds if the parser would, without consuming (Parsec's `lookAhead`)."""

    def run(text: str, place: int) -> Reply[None]:
        reply = parser(text, place)
        return reply if reply.failed else Reply(place, False, Fault(place))

    return attempt(run)


def not_followed_by(parser: Parser[str]) -> Parser[None]:
    """Succeeds if the parser of a character fails."""

    def run(text: str, place: int) -> Reply[None]:
        reply = parser(text, place)
        if reply.failed:
            return Reply(place, False, reply.fault)
        return Reply(place, False, Fault(reply.place, refused=(shown(reply.value or "", "'"),)), failed=True)

    return run


def end(text: str, place: int) -> Reply[None]:
    """The end of the text."""
    if place == len(text):
        return Reply(place, False, Fault(place))
    return Reply(place, False, Fault(place, (), (shown(text[place], "'"),), ("end of input",)), failed=True)


def shown(text: str, quote: str = '"') -> str:
    """A text in quotes, as Haskell's `show` prints it."""
    return quote + "".join(_escaped(character, quote) for character in text) + quote


def _escaped(character: str, quote: str) -> str:
    if character in (quote, "\\"):
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character, f"\\{ord(character)}")
