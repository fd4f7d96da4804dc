"""Mach-O's structures and numbers (Apple's <mach-o/loader.h>, nlist.h, reloc.h, arm64/reloc.h).

All little-endian but the fat header, which is big-endian.
"""

from __future__ import annotations

from struct import Struct

MAGIC_64 = 0xFEEDFACF
FAT_MAGIC = 0xCAFEBABE
CPU_ARM64 = 0x0100000C
MH_OBJECT = 1
LC_SYMTAB, LC_SEGMENT_64 = 0x2, 0x19

HEADER = Struct("<8I")  # magic cputype cpusubtype filetype ncmds sizeofcmds flags reserved
COMMAND = Struct("<2I")  # cmd cmdsize
SEGMENT = Struct("<2I16s4Q4I")  # … segname vmaddr vmsize fileoff filesize maxprot initprot nsects
SECTION = Struct("<16s16s2Q8I")  # sectname segname addr size offset align reloff nreloc flags r1-3
SYMTAB = Struct("<6I")  # cmd cmdsize symoff nsyms stroff strsize
NLIST = Struct("<I2BHQ")  # n_strx n_type n_sect n_desc n_value
RELOCATION = Struct("<iI")  # r_address; symbolnum:24 pcrel:1 length:2 extern:1 type:4
FAT_HEADER = Struct(">2I")  # magic nfat_arch
FAT_ARCH = Struct(">5I")  # cputype cpusubtype offset size align

# Section types (the low byte of the flags) and attributes.
SECTION_TYPE = 0xFF
S_ZEROFILL, S_GB_ZEROFILL = 0x1, 0xC
S_MOD_INIT, S_MOD_TERM = 0x9, 0xA
S_THREAD_LOCAL_REGULAR, S_THREAD_LOCAL_ZEROFILL, S_THREAD_LOCAL_VARIABLES = 0x11, 0x12, 0x13
ATTR_PURE_INSTRUCTIONS, ATTR_SOME_INSTRUCTIONS, ATTR_DEBUG = 0x80000000, 0x400, 0x02000000

# nlist
N_STAB, N_PEXT, N_TYPE, N_EXT = 0xE0, 0x10, 0x0E, 0x01
N_UNDF, N_ABS, N_SECT = 0x0, 0x2, 0xE
N_WEAK_REF, N_WEAK_DEF = 0x40, 0x80

(
    UNSIGNED,
    SUBTRACTOR,
    BRANCH26,
    PAGE21,
    PAGEOFF12,
    GOT_LOAD_PAGE21,
    GOT_LOAD_PAGEOFF12,
    POINTER_TO_GOT,
    TLVP_LOAD_PAGE21,
    TLVP_LOAD_PAGEOFF12,
    ADDEND,
) = range(11)
RELOCATION_NAMES = (
    "UNSIGNED SUBTRACTOR BRANCH26 PAGE21 PAGEOFF12 GOT_LOAD_PAGE21 GOT_LOAD_PAGEOFF12 "
    "POINTER_TO_GOT TLVP_LOAD_PAGE21 TLVP_LOAD_PAGEOFF12 ADDEND"
).split()
