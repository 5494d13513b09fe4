"""The place in a list of tokens, and the message when the wrong one stands there."""

from __future__ import annotations

from kelp.server.ports import QueryError
from kelp.server.query.logql.errors import Place, parse_error
from kelp.server.query.logql.tokens import END, ERROR, Token

_MOST_EXPECTED = 4  # Loki's parser names no more alternatives than these


class Cursor:
    """Looks at tokens and takes them in order."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or one behind it; the last one stands for ever."""
        token = self._tokens[min(self._at + ahead, len(self._tokens) - 1)]
        if token.kind == ERROR and ahead == 0:
            raise parse_error(token.text, token.at)
        return token

    @property
    def here(self) -> Place:
        """Where the next token begins."""
        return self.peek().at

    def at(self, *kinds: str) -> bool:
        """Whether the next token is of one of these kinds."""
        return self.peek().kind in kinds

    def take(self) -> Token:
        """The next token, taken."""
        token = self.peek()
        self._at += token.kind != END
        return token

    def accept(self, kind: str) -> Token | None:
        """The next token, taken, if it is of this kind."""
        return self.take() if self.at(kind) else None

    def expect(self, *kinds: str) -> Token:
        """The next token, which must be of the first kind; the others only stand in the message."""
        if not self.at(kinds[0]):
            raise self.unexpected(*kinds)
        return self.take()

    def unexpected(self, *expected: str) -> QueryError:
        """The error for the token that stands here."""
        token = self.peek()
        text = f"syntax error: unexpected {token.kind}"
        if expected and len(expected) <= _MOST_EXPECTED:
            text += f", expecting {' or '.join(expected)}"
        return parse_error(text, token.at)

    def unexpected_for(self, expected: str) -> QueryError:
        """The same where too much could stand here to be listed: what it is, in words."""
        token = self.peek()
        return parse_error(f"syntax error: unexpected {token.kind}", token.at, expected)
