"""The symbols that the linker itself defines, where an object asks for them and has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callproof.link.layout import Layout, OutputSection

# name -> (output section, whether its end is meant); both are 0 where there is no such section
BOUNDS = {
    "__rela_iplt_start": (".rela.iplt", False),
    "__rela_iplt_end": (".rela.iplt", True),
    "__GNU_EH_FRAME_HDR": (".eh_frame_hdr", False),
    "__eh_frame_hdr_start": (".eh_frame_hdr", False),
    "__eh_frame_hdr_end": (".eh_frame_hdr", True),
    "__eh_frame_start": (".eh_frame", False),
    "__eh_frame_end": (".eh_frame", True),
}
ARRAYS = {
    f"__{array}_{end}": (array, end == "end")
    for array in ("preinit_array", "init_array", "fini_array")
    for end in ("start", "end")
}
BASES = frozenset(("__ehdr_start", "__executable_start", "__dso_handle"))
ENDS = frozenset(("_end", "end", "__end__", "__bss_end__", "_bss_end__"))
INITIALISED = ("data", "tdata", "init_array", "fini_array", "preinit_array")


def linker_symbol(layout: Layout, name: str) -> int | None:
    """The address of a name that the linker defines; None for any other name."""
    for prefix, is_end in (("__start_", False), ("__stop_", True)):
        if name.startswith(prefix):
            return _bound(_output(layout, name.removeprefix(prefix)), is_end)
    if name in BOUNDS:
        wanted, is_end = BOUNDS[name]
        return _bound(_output(layout, wanted), is_end) or 0
    if name in ARRAYS:
        kind, is_end = ARRAYS[name]
        return layout.bounds(kind)[is_end]
    if name in BASES:
        return layout.options.base
    if name in ENDS:
        return layout.end()
    if name in ("_etext", "etext"):
        return layout.bounds("code")[1]
    if name in ("_edata", "edata"):
        return layout.bounds(*INITIALISED)[1]
    if name in ("__bss_start", "__bss_start__"):
        return layout.bounds("bss")[0] or layout.end()
    if name == "_TLS_MODULE_BASE_":
        start, _, size, alignment = layout.tls
        if layout.resolved.machine == "aarch64":
            return start
        # As ld has it: at the thread pointer, from which the offsets in the image count
        # where the program's own image is meant (see relocate_x64.py).
        return start + size + (-(start + size)) % alignment
    if name == "_GLOBAL_OFFSET_TABLE_" and layout.got_section is not None:
        return layout.places[id(layout.got_section)].address
    if name == "_DYNAMIC" and layout.dynamic is not None:
        return layout.places[id(layout.dynamic.sections[".dynamic"])].address
    return None


def _output(layout: Layout, name: str) -> OutputSection | None:
    return next((output for output in layout.outputs() if output.name == name), None)


def _bound(output: OutputSection | None, is_end: bool) -> int | None:
    if output is None:
        return None
    return output.address + (output.size if is_end else 0)
