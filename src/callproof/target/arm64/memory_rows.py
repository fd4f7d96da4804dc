"""Rows of the instruction table: loads and stores (DDI 0487, C4.1.94).

Written in the notation of `table.py`; the names of forms are explained in
`instructions.py`.
"""

from __future__ import annotations

from callproof.target.arm64.aliases import base_only, indexed
from callproof.target.arm64.table import Table

MEMORY = Table()
row = MEMORY.row

# name, mnemonic, register kind, size field, V, opc, log2 of the bytes
_ACCESSES = (
    ("strb", "strb", "w", "00", "0", "00", 0),
    ("ldrb", "ldrb", "w", "00", "0", "01", 0),
    ("ldrsb_x", "ldrsb", "x", "00", "0", "10", 0),
    ("ldrsb_w", "ldrsb", "w", "00", "0", "11", 0),
    ("strh", "strh", "w", "01", "0", "00", 1),
    ("ldrh", "ldrh", "w", "01", "0", "01", 1),
    ("ldrsh_x", "ldrsh", "x", "01", "0", "10", 1),
    ("ldrsh_w", "ldrsh", "w", "01", "0", "11", 1),
    ("str_w", "str", "w", "10", "0", "00", 2),
    ("ldr_w", "ldr", "w", "10", "0", "01", 2),
    ("ldrsw", "ldrsw", "x", "10", "0", "10", 2),
    ("str_x", "str", "x", "11", "0", "00", 3),
    ("ldr_x", "ldr", "x", "11", "0", "01", 3),
    ("str_b", "str", "b", "00", "1", "00", 0),
    ("ldr_b", "ldr", "b", "00", "1", "01", 0),
    ("str_h", "str", "h", "01", "1", "00", 1),
    ("ldr_h", "ldr", "h", "01", "1", "01", 1),
    ("str_s", "str", "s", "10", "1", "00", 2),
    ("ldr_s", "ldr", "s", "10", "1", "01", 2),
    ("str_d", "str", "d", "11", "1", "00", 3),
    ("ldr_d", "ldr", "d", "11", "1", "01", 3),
    ("str_q", "str", "q", "00", "1", "10", 4),
    ("ldr_q", "ldr", "q", "00", "1", "11", 4),
)


for _name, _mnemonic, _kind, _size, _v, _opc, _log2 in _ACCESSES:
    _memory = "load" if _mnemonic.startswith("ld") else "store"
    _t = f"{'def' if _memory == 'load' else 'use'}:{_kind}@t"
    _start = f"{_size} 111 {_v}"
    row(
        f"{_name}_uimm",
        _mnemonic,
        f"{_start} 01 {_opc} imm:12 n:5 t:5",
        f"{_t} use:xsp@n offset{1 << _log2}@imm",
        "{0}, [{1}, {2}]",
        memory=_memory,
        aliases=[base_only(_mnemonic, _kind)],
    )
    _unscaled = _mnemonic.replace("ldr", "ldur").replace("str", "stur")
    row(
        f"{_name}_unscaled",
        _unscaled,
        f"{_start} 00 {_opc} 0 imm:9 00 n:5 t:5",
        f"{_t} use:xsp@n simm9@imm",
        "{0}, [{1}, {2}]",
        memory=_memory,
        aliases=[base_only(_unscaled, _kind)],
    )
    for _mode, _bits, _template in (
        ("post", "01", "{0}, [{1}], {2}"),
        ("pre", "11", "{0}, [{1}, {2}]!"),
    ):
        row(
            f"{_name}_{_mode}",
            _mnemonic,
            f"{_start} 00 {_opc} 0 imm:9 {_bits} n:5 t:5",
            f"{_t} use_def:xsp@n simm9@imm",
            _template,
            memory=_memory,
        )
    row(
        f"{_name}_reg",
        _mnemonic,
        f"{_start} 00 {_opc} 1 m:5 kind:3 scaled:1 10 n:5 t:5",
        f"{_t} use:xsp@n use:x@m index@kind u1@scaled",
        memory=_memory,
        aliases=[indexed(_mnemonic, _kind, _log2)],
    )

_PAIR_MODES = (
    ("post", "001", "{0}, {1}, [{2}], {3}"),
    ("off", "010", "{0}, {1}, [{2}, {3}]"),
    ("pre", "011", "{0}, {1}, [{2}, {3}]!"),
)
for _kind, _opc, _v, _scale in (
    ("w", "00", "0", 4),
    ("x", "10", "0", 8),
    ("s", "00", "1", 4),
    ("d", "01", "1", 8),
    ("q", "10", "1", 16),
):
    for _load, _mnemonic in (("0", "stp"), ("1", "ldp")):
        _memory = "load" if _load == "1" else "store"
        _role = "def" if _load == "1" else "use"
        for _mode, _bits, _template in _PAIR_MODES:
            _base = "use" if _mode == "off" else "use_def"
            row(
                f"{_mnemonic}_{_kind}_{_mode}",
                _mnemonic,
                f"{_opc} 101 {_v} {_bits} {_load} imm:7 u:5 n:5 t:5",
                f"{_role}:{_kind}@t {_role}:{_kind}@u {_base}:xsp@n pair{_scale}@imm",
                _template,
                memory=_memory,
            )
for _mode, _bits, _template in _PAIR_MODES:
    row(
        f"ldpsw_{_mode}",
        "ldpsw",
        f"01 101 0 {_bits} 1 imm:7 u:5 n:5 t:5",
        f"def:x@t def:x@u {'use' if _mode == 'off' else 'use_def'}:xsp@n pair4@imm",
        _template,
        memory="load",
    )

# Relative to the instruction itself.
for _name, _mnemonic, _kind, _bits in (
    ("ldr_w_lit", "ldr", "w", "00 011 0"),
    ("ldr_x_lit", "ldr", "x", "01 011 0"),
    ("ldrsw_lit", "ldrsw", "x", "10 011 0"),
    ("ldr_s_lit", "ldr", "s", "00 011 1"),
    ("ldr_d_lit", "ldr", "d", "01 011 1"),
    ("ldr_q_lit", "ldr", "q", "10 011 1"),
):
    row(
        _name,
        _mnemonic,
        f"{_bits} 00 to:19 t:5",
        f"def:{_kind}@t label19@to",
        memory="load",
    )

# Exclusive and ordered accesses.  The status of a store must be in a register of its own,
# neither the data's nor the address's (CONSTRAINED UNPREDICTABLE): define it early.
for _suffix, _size, _kind in (("b", "00", "w"), ("h", "01", "w"), ("", "10", "w"), ("", "11", "x")):
    _full = _suffix or f"_{_kind}"
    for _name, _bits in (
        ("ldxr", "0 1 0 11111 0"),
        ("ldaxr", "0 1 0 11111 1"),
        ("ldar", "1 1 0 11111 1"),
    ):
        row(
            f"{_name}{_full}",
            f"{_name}{_suffix}",
            f"{_size} 001000 {_bits} 11111 n:5 t:5",
            f"def:{_kind}@t use:xsp@n",
            "{0}, [{1}]",
            memory="load",
        )
    for _name, _bit in (("stxr", "0"), ("stlxr", "1")):
        row(
            f"{_name}{_full}",
            f"{_name}{_suffix}",
            f"{_size} 001000 0 0 0 s:5 {_bit} 11111 n:5 t:5",
            f"def:w@s use:{_kind}@t use:xsp@n",
            "{0}, {1}, [{2}]",
            memory="store",
        )
    row(
        f"stlr{_full}",
        f"stlr{_suffix}",
        f"{_size} 001000 1 0 0 11111 1 11111 n:5 t:5",
        f"use:{_kind}@t use:xsp@n",
        "{0}, [{1}]",
        memory="store",
    )
