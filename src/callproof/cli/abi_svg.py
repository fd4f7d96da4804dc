"""`callproof abi` as a picture: argument registers and stack, one column a convention."""

from __future__ import annotations

from html import escape

from callproof.abi.report import Report, View

# Colours of parameters, distinct also in grey (light fills, dark text).
FILLS = (
    *("#cfe8ff", "#ffe2b8", "#d6f5d0", "#f6d0e4", "#e4dcff", "#fff4b0"),
    *("#c9f2ee", "#ffd3c7", "#dde3ea", "#e6f0b6"),
)
COLUMN, CELL_HEIGHT, NAME, GAP = 300, 20, 70, 30
MOST_ROWS = 400  # of the stack; what is beyond is said, not drawn


def fill(owner: int | None) -> str:
    return "#ffffff" if owner is None else FILLS[owner % len(FILLS)]


def render(report: Report) -> str:
    """A stand-alone SVG document."""
    drawn = [_view(view, index * (COLUMN + GAP)) for index, view in enumerate(report.views)]
    height = max(bottom for _, bottom in drawn) + GAP
    width = len(drawn) * (COLUMN + GAP)
    body = "\n".join(text for text, _ in drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="ui-monospace, monospace" font-size="12">\n'
        f"<title>{escape(report.name)}</title>\n"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _text(x: int, y: int, text: str, extra: str = "") -> str:
    return f'<text x="{x}" y="{y}"{extra}>{escape(text)}</text>'


def _cell(x: int, y: int, name: str, label: str, owner: int | None, height: int) -> list[str]:
    middle = y + height // 2 + 4
    width = COLUMN - NAME
    return [
        _text(x + NAME - 6, middle, name, ' text-anchor="end"'),
        f'<rect x="{x + NAME}" y="{y}" width="{width}" height="{height}" '
        f'fill="{fill(owner)}" stroke="#556"/>',
        _text(x + NAME + 6, middle, label),
    ]


def _view(view: View, x: int) -> tuple[str, int]:
    """The drawing of one convention at column `x`, and where it ends."""
    y = 20
    lines = [_text(x + NAME, y, view.convention.title, ' font-weight="bold"')]
    y += 12
    for register in view.registers:
        lines += _cell(x, y, register.register, register.label, register.owner, CELL_HEIGHT)
        y += CELL_HEIGHT
    y += GAP
    caption = f"stack at the call: {view.plan.stack_bytes} bytes"
    lines.append(_text(x + NAME, y - 8, caption, ' font-weight="bold"'))
    shown = view.stack[:MOST_ROWS]
    if len(shown) < len(view.stack):
        lines.append(_text(x + NAME, y + 12, f"... {len(view.stack) - len(shown)} more above"))
        y += CELL_HEIGHT
    for cell in reversed(shown):
        height = CELL_HEIGHT + (CELL_HEIGHT // 2 if cell.size > 8 else 0)
        label = cell.label or "padding"
        lines += _cell(x, y, f"sp+{cell.offset}", label, cell.owner, height)
        y += height
    for note in view.notes:
        y += 16
        lines.append(_text(x + NAME, y, note, ' font-size="10" fill="#445"'))
    return "\n".join(lines), y
