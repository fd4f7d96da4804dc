"""For the lexers: what kind of token a text is, asked once for each text."""

from __future__ import annotations

from collections.abc import Callable


class TokenKinds(dict[str, str]):
    """Text -> kind; `kind_of` says it of texts that are not known yet."""

    def __init__(self, known: dict[str, str], kind_of: Callable[[str], str]) -> None:
        super().__init__(known)
        self.kind_of = kind_of

    def __missing__(self, text: str) -> str:
        kind = self[text] = self.kind_of(text)
        return kind
