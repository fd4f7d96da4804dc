"""What is done to C text before pycparser sees it.

pycparser reads standard C without comments, attributes and GNU keywords.  `scan`
overwrites those with spaces, so that every place keeps its line and column, and
remembers which declarator or type each attribute belongs to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from callproof.source import CallproofError, Diagnostic, SourceFile, Span

LONGEST = 1 << 20  # characters: more is not a declaration, but a mistake
DEEPEST = 150  # brackets in each other

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<open_comment>/\*)
      | (?P<space>\s+|\\\n)
      | (?P<directive>\#[^\n]*)
      | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
      | (?P<number>\.?[0-9](?:[eEpP][-+]|[A-Za-z0-9_.'])*)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<sign>\.\.\.|.)""",
    re.VERBOSE | re.DOTALL,
)
_MARKER = re.compile(r'#[ \t]*(?:line[ \t]+)?\d+(?:[ \t]+"[^"\n]*")?[ \t\d]*$')
_PRAGMA = re.compile(r"#[ \t]*pragma\b")

ATTRIBUTE_WORDS = frozenset(("__attribute__", "__attribute"))
# Words of GNU C that change nothing here; pycparser does not know them.
NOISE = frozenset(
    "__extension__ __const __const__ __volatile __volatile__ __restrict __restrict__ "
    "__inline __inline__ __signed__ _Nonnull _Nullable".split()
)
KEYWORDS = frozenset(
    "void char short int long float double signed unsigned _Bool _Complex struct union enum "
    "const volatile restrict static extern inline register auto typedef _Atomic _Alignas "
    "_Noreturn _Thread_local sizeof _Alignof _Static_assert __int128".split()
)
AGGREGATES = frozenset(("struct", "union", "enum"))
OPENING, CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name(arguments)` at a place; names without their surrounding underscores."""

    name: str
    arguments: str
    start: int


@dataclass(slots=True)
class Scanned:
    """`text` for pycparser, and attributes by the offset of what they belong to:
    a declarator's identifier, or the token after `struct`, `union` or `enum`."""

    text: str
    of_declarator: dict[int, list[Attribute]] = field(default_factory=dict)
    of_type: dict[int, list[Attribute]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    depth: int


class _Scanner:
    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.output = list(source.text)
        self.tokens: list[_Token] = []
        self.attributes: list[tuple[int, Attribute]] = []  # index of the next token, attribute
        self.result = Scanned("")

    def error(self, message: str, start: int, end: int | None = None) -> CallproofError:
        span = Span(self.source, start, end if end is not None else start + 1)
        return CallproofError(Diagnostic("error", message, span))

    def blank(self, start: int, end: int) -> None:
        for index in range(start, end):
            if self.output[index] != "\n":
                self.output[index] = " "

    def run(self) -> Scanned:
        text = self.source.text
        if len(text) > LONGEST:
            raise self.error(f"declarations of more than {LONGEST} characters", LONGEST)
        self.tokenize(text)
        for index, attribute in self.attributes:
            self.attach(index, attribute)
        self.result.text = "".join(self.output)
        return self.result

    # --- tokens ------------------------------------------------------------------------

    def tokenize(self, text: str) -> None:
        position, depth = 0, 0
        opened: list[tuple[str, int]] = []
        while position < len(text):
            match = _TOKEN.match(text, position)
            assert match is not None  # `sign` takes any character
            kind, found, start = match.lastgroup or "", match.group(), position
            position = match.end()
            if kind == "space":
                continue
            if kind == "comment":
                self.blank(start, position)
            elif kind == "open_comment":
                raise self.error("this comment has no end", start, start + 2)
            elif kind == "directive":
                self.directive(found, start)
            elif found in ATTRIBUTE_WORDS:
                position = self.take_attributes(text, start, position)
            elif kind == "word" and found in NOISE:
                self.blank(start, position)
            elif kind == "word" and found in ("__asm__", "asm", "__asm"):
                end = self.parenthesized(text, position, found, start)
                self.blank(start, end)
                position = end
            else:
                if found in OPENING:
                    opened.append((found, start))
                    if len(opened) > DEEPEST:
                        raise self.error(f"brackets more than {DEEPEST} deep", start)
                elif found in CLOSING:
                    wanted = OPENING[CLOSING.index(found)]
                    if not opened or opened[-1][0] != wanted:
                        raise self.error(f"'{found}' closes nothing", start)
                    opened.pop()
                depth = len(opened) - (found in OPENING)
                self.tokens.append(_Token(kind, found, start, depth))
        if opened:
            sign, start = opened[-1]
            raise self.error(f"this '{sign}' is never closed", start)

    def directive(self, text: str, start: int) -> None:
        if _PRAGMA.match(text):
            return
        if _MARKER.match(text):  # a preprocessor's line marker
            self.blank(start, start + len(text))
            return
        raise self.error(
            "the declarations must be preprocessed first (cc -E)", start, start + len(text)
        )

    def parenthesized(self, text: str, position: int, what: str, start: int) -> int:
        """The end of the balanced parentheses that follow `what`."""
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text) or text[position] != "(":
            raise self.error(f"'(' expected after {what}", start, start + len(what))
        depth = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            assert match is not None
            position = match.end()
            if match.group() == "(":
                depth += 1
            elif match.group() == ")":
                depth -= 1
                if not depth:
                    return position
        raise self.error(f"the parentheses after {what} are never closed", start, start + len(what))

    def take_attributes(self, text: str, start: int, position: int) -> int:
        end = self.parenthesized(text, position, "__attribute__", start)
        inside = text[position:end].strip()
        if not (inside.startswith("((") and inside.endswith("))")):
            raise self.error("attributes stand in double parentheses", start, end)
        first = text.index("((", position) + 2
        for name, arguments, offset in _split(text[first : end - 2]):
            found = re.fullmatch(r"_*([A-Za-z0-9_]+?)_*", name)
            if found is None:
                raise self.error(f"'{name}' is no attribute", first + offset)
            attribute = Attribute(found[1], arguments, first + offset)
            self.attributes.append((len(self.tokens), attribute))
        self.blank(start, end)
        return end

    # --- whose attribute is it? ----------------------------------------------------------

    def attach(self, index: int, attribute: Attribute) -> None:
        """`index` is that of the first token after the attribute."""
        tokens = self.tokens
        before = tokens[index - 1] if index else None
        after = tokens[index] if index < len(tokens) else None
        if before is not None and before.text in AGGREGATES and after is not None:
            self.result.of_type.setdefault(after.start, []).append(attribute)
            return
        if before is not None and before.text == "}":
            owner = self.type_closed_at(index - 1)
            if owner is not None:
                self.result.of_type.setdefault(owner, []).append(attribute)
                return
        if after is None or after.text in ",;)={":
            found = self.declarator_before(index - 1)
            if found is not None:
                self.result.of_declarator.setdefault(found.start, []).append(attribute)
                return
        else:
            names = self.declarators_after(index)
            if names:
                for token in names:
                    self.result.of_declarator.setdefault(token.start, []).append(attribute)
                return
        raise self.error(
            f"attribute '{attribute.name}' belongs to nothing that has a name", attribute.start
        )

    def type_closed_at(self, index: int) -> int | None:
        """The key of the structure, union or enumeration whose body ends here."""
        depth = self.tokens[index].depth
        while index > 0:
            index -= 1
            token = self.tokens[index]
            if token.text == "{" and token.depth == depth:
                break
        for back in (1, 2):
            if index >= back and self.tokens[index - back].text in AGGREGATES:
                return self.tokens[index - back + 1].start
        return None

    def declarator_before(self, index: int) -> _Token | None:
        """The identifier that is declared before a position: skips `[…]`, `(…)`, `: 3`."""
        depth = self.tokens[index].depth if index >= 0 else 0
        while index >= 0:
            token = self.tokens[index]
            if token.depth < depth or (token.depth == depth and token.text in ",;{}"):
                return None
            if token.depth == depth and token.kind == "word":
                return None if token.text in KEYWORDS else token
            index -= 1
        return None

    def declarators_after(self, index: int) -> list[_Token]:
        """The identifiers declared by the declaration in whose specifiers we are."""
        found: list[_Token] = []
        depth = self.tokens[index].depth
        open_now = True
        in_parameters = depth > 0 and self.enclosing(index) == "("
        while index + 1 < len(self.tokens):
            token, following = self.tokens[index], self.tokens[index + 1]
            if token.depth < depth or (token.depth == depth and token.text == ";"):
                break
            if token.depth == depth and token.text == ",":
                if in_parameters:
                    break
                open_now = True
            elif (
                open_now
                and token.kind == "word"
                and token.text not in KEYWORDS
                and following.text in (",", ";", ")", "[", "(", ":", "=", "{")
                and self.tokens[index - 1].text not in AGGREGATES
            ):
                found.append(token)
                open_now = False
            index += 1
        return found

    def enclosing(self, index: int) -> str:
        depth = self.tokens[index].depth
        while index >= 0 and self.tokens[index].depth >= depth:
            index -= 1
        return self.tokens[index].text if index >= 0 else ""


def _split(text: str) -> list[tuple[str, str, int]]:
    """`packed, aligned(16)` as (name, arguments, offset)."""
    found = []
    for match in re.finditer(r"([^\s,()]+)\s*(\((?:[^()]|\([^()]*\))*\))?", text):
        arguments = (match[2] or "")[1:-1].strip()
        found.append((match[1], arguments, match.start()))
    return found


def scan(source: SourceFile) -> Scanned:
    """Text that pycparser takes, and the attributes that were in it.

    Raises `CallproofError` with a place for unbalanced or very deep brackets,
    directives, and attributes that belong to nothing.
    """
    return _Scanner(source).run()
