"""The numbers of the ELF format (System V ABI; AArch64 supplement 2024Q3), once."""

from __future__ import annotations

from struct import Struct

HEADER = Struct("<16sHHIQQQIHHHHHH")  # ident type machine version entry phoff shoff flags sizes...
SECTION = Struct("<IIQQQQIIQQ")  # name type flags addr offset size link info align entsize
SYMBOL = Struct("<IBBHQQ")  # name info other section value size
RELA = Struct("<QQq")  # offset info addend
PROGRAM = Struct("<IIQQQQQQ")  # type flags offset vaddr paddr filesz memsz align

MAGIC = b"\x7fELF"
IDENT = MAGIC + bytes((2, 1, 1, 0)) + bytes(8)  # 64-bit, little-endian, version 1, System V
ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
MACHINES = {"aarch64": 183, "x86_64": 62}
MACHINE_NAMES = {number: name for name, number in MACHINES.items()}

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_HASH = range(6)
SHT_NOTE, SHT_NOBITS, SHT_REL = 7, 8, 9
SHT_INIT_ARRAY, SHT_FINI_ARRAY, SHT_PREINIT_ARRAY, SHT_GROUP = 14, 15, 16, 17
SHT_SYMTAB_SHNDX = 18
SHT_CREL, SHT_LLVM_ADDRSIG = 0x40000014, 0x6FFF4C03
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SHF_MERGE, SHF_STRINGS, SHF_INFO_LINK, SHF_LINK_ORDER = 0x10, 0x20, 0x40, 0x80
SHF_GROUP, SHF_TLS, SHF_COMPRESSED, SHF_EXCLUDE = 0x200, 0x400, 0x800, 0x80000000
SHF_GNU_RETAIN = 0x200000
GRP_COMDAT = 1

SHN_X86_64_LCOMMON = 0xFF02
SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON, SHN_XINDEX = (
    0,
    0xFF00,
    0xFFF1,
    0xFFF2,
    0xFFFF,
)
BINDINGS = {0: "local", 1: "global", 2: "weak", 10: "global"}
BINDING_NUMBERS = {"local": 0, "global": 1, "weak": 2}
KINDS = {
    0: "none",
    1: "object",
    2: "function",
    3: "section",
    4: "file",
    5: "common",
    6: "tls",
}
KINDS |= {10: "ifunc"}
KIND_NUMBERS = {name: number for number, name in KINDS.items()}
VISIBILITIES = ("default", "internal", "hidden", "protected")

PT_LOAD, PT_NOTE, PT_TLS, PT_GNU_STACK = 1, 4, 7, 0x6474E551
PT_GNU_EH_FRAME, PT_GNU_RELRO = 0x6474E550, 0x6474E552
PF_X, PF_W, PF_R = 1, 2, 4

AARCH64_RELOCATIONS = {
    0: "R_AARCH64_NONE",
    257: "R_AARCH64_ABS64",
    258: "R_AARCH64_ABS32",
    259: "R_AARCH64_ABS16",
    260: "R_AARCH64_PREL64",
    261: "R_AARCH64_PREL32",
    262: "R_AARCH64_PREL16",
    263: "R_AARCH64_MOVW_UABS_G0",
    264: "R_AARCH64_MOVW_UABS_G0_NC",
    265: "R_AARCH64_MOVW_UABS_G1",
    266: "R_AARCH64_MOVW_UABS_G1_NC",
    267: "R_AARCH64_MOVW_UABS_G2",
    268: "R_AARCH64_MOVW_UABS_G2_NC",
    269: "R_AARCH64_MOVW_UABS_G3",
    273: "R_AARCH64_LD_PREL_LO19",
    274: "R_AARCH64_ADR_PREL_LO21",
    275: "R_AARCH64_ADR_PREL_PG_HI21",
    276: "R_AARCH64_ADR_PREL_PG_HI21_NC",
    277: "R_AARCH64_ADD_ABS_LO12_NC",
    278: "R_AARCH64_LDST8_ABS_LO12_NC",
    279: "R_AARCH64_TSTBR14",
    280: "R_AARCH64_CONDBR19",
    282: "R_AARCH64_JUMP26",
    283: "R_AARCH64_CALL26",
    284: "R_AARCH64_LDST16_ABS_LO12_NC",
    285: "R_AARCH64_LDST32_ABS_LO12_NC",
    286: "R_AARCH64_LDST64_ABS_LO12_NC",
    299: "R_AARCH64_LDST128_ABS_LO12_NC",
    311: "R_AARCH64_ADR_GOT_PAGE",
    312: "R_AARCH64_LD64_GOT_LO12_NC",
    313: "R_AARCH64_LD64_GOTPAGE_LO15",
    314: "R_AARCH64_PLT32",
    541: "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21",
    542: "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC",
    549: "R_AARCH64_TLSLE_ADD_TPREL_HI12",
    550: "R_AARCH64_TLSLE_ADD_TPREL_LO12",
    551: "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC",
    552: "R_AARCH64_TLSLE_LDST8_TPREL_LO12",
    553: "R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC",
    554: "R_AARCH64_TLSLE_LDST16_TPREL_LO12",
    555: "R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC",
    556: "R_AARCH64_TLSLE_LDST32_TPREL_LO12",
    557: "R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC",
    558: "R_AARCH64_TLSLE_LDST64_TPREL_LO12",
    559: "R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC",
    562: "R_AARCH64_TLSDESC_ADR_PAGE21",
    563: "R_AARCH64_TLSDESC_LD64_LO12",
    564: "R_AARCH64_TLSDESC_ADD_LO12",
    569: "R_AARCH64_TLSDESC_CALL",
} | {
    # Rare ones; those that the linker has no rule for it refuses, the checker passes over.
    number: f"R_AARCH64_{name}"
    for number, name in {
        **{270: "MOVW_SABS_G0", 271: "MOVW_SABS_G1", 272: "MOVW_SABS_G2"},
        **{287: "MOVW_PREL_G0", 288: "MOVW_PREL_G0_NC", 289: "MOVW_PREL_G1"},
        **{290: "MOVW_PREL_G1_NC", 291: "MOVW_PREL_G2", 292: "MOVW_PREL_G2_NC"},
        **{293: "MOVW_PREL_G3", 307: "GOTREL64", 308: "GOTREL32", 309: "GOT_LD_PREL19"},
        **{310: "LD64_GOTOFF_LO15", 315: "GOTPCREL32"},
        **{512: "TLSGD_ADR_PREL21", 513: "TLSGD_ADR_PAGE21", 514: "TLSGD_ADD_LO12_NC"},
        **{515: "TLSGD_MOVW_G1", 516: "TLSGD_MOVW_G0_NC", 517: "TLSLD_ADR_PREL21"},
        **{518: "TLSLD_ADR_PAGE21", 519: "TLSLD_ADD_LO12_NC", 520: "TLSLD_MOVW_G1"},
        **{521: "TLSLD_MOVW_G0_NC", 522: "TLSLD_LD_PREL19", 528: "TLSLD_ADD_DTPREL_HI12"},
        **{529: "TLSLD_ADD_DTPREL_LO12", 530: "TLSLD_ADD_DTPREL_LO12_NC"},
        **{531: "TLSLD_LDST8_DTPREL_LO12", 532: "TLSLD_LDST8_DTPREL_LO12_NC"},
        **{533: "TLSLD_LDST16_DTPREL_LO12", 534: "TLSLD_LDST16_DTPREL_LO12_NC"},
        **{535: "TLSLD_LDST32_DTPREL_LO12", 536: "TLSLD_LDST32_DTPREL_LO12_NC"},
        **{537: "TLSLD_LDST64_DTPREL_LO12", 538: "TLSLD_LDST64_DTPREL_LO12_NC"},
        **{572: "TLSLD_LDST128_DTPREL_LO12", 573: "TLSLD_LDST128_DTPREL_LO12_NC"},
        1032: "IRELATIVE",
        **{539: "TLSIE_MOVW_GOTTPREL_G1", 540: "TLSIE_MOVW_GOTTPREL_G0_NC"},
        **{543: "TLSIE_LD_GOTTPREL_PREL19", 544: "TLSLE_MOVW_TPREL_G2"},
        **{545: "TLSLE_MOVW_TPREL_G1", 546: "TLSLE_MOVW_TPREL_G1_NC"},
        **{547: "TLSLE_MOVW_TPREL_G0", 548: "TLSLE_MOVW_TPREL_G0_NC"},
        **{560: "TLSDESC_LD_PREL19", 561: "TLSDESC_ADR_PREL21", 565: "TLSDESC_OFF_G1"},
        **{566: "TLSDESC_OFF_G0_NC", 567: "TLSDESC_LDR", 568: "TLSDESC_ADD"},
        **{570: "TLSLE_LDST128_TPREL_LO12", 571: "TLSLE_LDST128_TPREL_LO12_NC"},
    }.items()
}
X86_64_RELOCATIONS = {
    number: f"R_X86_64_{name}"
    for number, name in {
        0: "NONE",
        1: "64",
        2: "PC32",
        3: "GOT32",
        4: "PLT32",
        5: "COPY",
        6: "GLOB_DAT",
        7: "JUMP_SLOT",
        8: "RELATIVE",
        9: "GOTPCREL",
        10: "32",
        11: "32S",
        12: "16",
        13: "PC16",
        14: "8",
        15: "PC8",
        16: "DTPMOD64",
        17: "DTPOFF64",
        18: "TPOFF64",
        19: "TLSGD",
        20: "TLSLD",
        21: "DTPOFF32",
        22: "GOTTPOFF",
        23: "TPOFF32",
        24: "PC64",
        25: "GOTOFF64",
        26: "GOTPC32",
        27: "GOT64",
        28: "GOTPCREL64",
        29: "GOTPC64",
        31: "PLTOFF64",
        32: "SIZE32",
        33: "SIZE64",
        34: "GOTPC32_TLSDESC",
        35: "TLSDESC_CALL",
        36: "TLSDESC",
        37: "IRELATIVE",
        41: "GOTPCRELX",
        42: "REX_GOTPCRELX",
    }.items()
}
RELOCATION_NAMES = {"aarch64": AARCH64_RELOCATIONS, "x86_64": X86_64_RELOCATIONS}
RELOCATION_NUMBERS = {
    machine: {name: number for number, name in table.items()}
    for machine, table in RELOCATION_NAMES.items()
}
