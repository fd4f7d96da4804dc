"""`callproof abi`"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from callproof.source import CallproofError

FORMATS = ("text", "json", "html", "svg")
LARGEST = 16 << 20  # bytes of declarations


def abi(
    declaration: Annotated[
        str,
        typer.Argument(
            help="C declarations, the last one a function; or the name of a file; or - for "
            "standard input."
        ),
    ],
    args: Annotated[
        str | None,
        typer.Option("--args", help="Types of a call's anonymous arguments: 'int, double'."),
    ] = None,
    convention: Annotated[
        str,
        typer.Option(
            "--convention", help="aapcs64, darwin64, windows64, sysv64; several by comma."
        ),
    ] = "aapcs64",
    function: Annotated[
        str, typer.Option("--function", "-f", help="That one, if several are declared.")
    ] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Name the clause of the standard for each decision.")
    ] = False,
    asm: Annotated[bool, typer.Option("--asm", help="Show the assembly of a call.")] = False,
    format_: Annotated[str, typer.Option("--format", help="text, json, html or svg.")] = "text",
) -> None:
    """Show where everything of a C function's call goes: registers, stack, layouts.

    With several conventions they stand side by side, and what differs is marked.

    Example: `callproof abi 'struct v { float x, y, z; }; double f(int a, struct v p, ...);'
    --args 'int, double' --convention aapcs64,darwin64,sysv64 --explain`
    """
    from callproof.abi import CONVENTIONS, parse
    from callproof.abi.report import as_json, report

    if format_ not in FORMATS:
        raise typer.BadParameter(f"'{format_}' is none of {', '.join(FORMATS)}")
    names = [name.strip() for name in convention.split(",") if name.strip()]
    for name in names:
        if name not in CONVENTIONS:
            raise typer.BadParameter(f"'{name}' is none of {', '.join(CONVENTIONS)}")
    if not names:
        raise typer.BadParameter("no convention is named")
    text, source = _text(declaration)
    prototype = parse(text, arguments=args, function=function, name=source)
    chosen = [CONVENTIONS[name] for name in dict.fromkeys(names)]
    found = report(prototype, chosen)
    assembly = _assembly(prototype.name, found, asm)
    if format_ == "json":
        data = as_json(found)
        for view in data["conventions"]:
            if view["name"] in assembly:
                view["assembly"] = assembly[view["name"]]
        print(json.dumps(data, indent=2))
    elif format_ == "svg":
        from callproof.cli import abi_svg

        print(abi_svg.render(found), end="")
    elif format_ == "html":
        from callproof.cli import abi_html

        page = abi_html.render(found, explain=explain, assembly=assembly, declaration=text)
        print(page, end="")
    else:
        from callproof.cli import abi_text

        print(abi_text.render(found, explain=explain, assembly=assembly), end="")


def _assembly(name: str, found: object, wanted: bool) -> dict[str, str]:
    from callproof.abi.report import Report
    from callproof.codegen.call_site import call_site

    assert isinstance(found, Report)
    if not wanted:
        return {}
    listings = {}
    for view in found.views:
        convention = view.convention.name
        try:
            listings[convention] = call_site(name, view.plan.signature, convention)
        except CallproofError as problem:
            why = problem.diagnostics[0].message
            print(f"callproof: no assembly for {convention}: {why}", file=sys.stderr)
    return listings


def _text(declaration: str) -> tuple[str, str]:
    """The declarations, and what diagnostics call the place they are from."""
    if declaration == "-":
        return sys.stdin.read(LARGEST), "<stdin>"
    path = Path(declaration)
    if len(declaration) < 4096 and declaration.endswith((".h", ".c")):
        try:
            if path.stat().st_size > LARGEST:
                raise CallproofError(f"{declaration} has more than {LARGEST >> 20} MB")
            return path.read_text(), declaration
        except (OSError, UnicodeDecodeError) as problem:
            raise CallproofError(f"cannot read {declaration}: {problem}") from None
    return declaration, "<declaration>"
