"""Mach-O's structures and numbers (Apple's <mach-o/loader.h>, nlist.h, reloc.h, arm64/reloc.h).

All little-endian but the fat header, which is big-endian.
"""

from __future__ import annotations

from struct import Struct

MAGIC_64 = 0xFEEDFACF
FAT_MAGIC = 0xCAFEBABE
CPU_ARM64 = 0x0100000C
CPU_SUBTYPE_ALL = 0
MH_OBJECT, MH_EXECUTE, MH_DYLIB, MH_DYLIB_STUB = 1, 2, 6, 9
MH_NOUNDEFS, MH_DYLDLINK, MH_TWOLEVEL, MH_PIE = 0x1, 0x4, 0x80, 0x200000
MH_SUBSECTIONS_VIA_SYMBOLS, MH_HAS_TLV_DESCRIPTORS = 0x2000, 0x800000
LC_SYMTAB, LC_DYSYMTAB, LC_SEGMENT_64 = 0x2, 0xB, 0x19
LC_LOAD_DYLIB, LC_ID_DYLIB, LC_LOAD_DYLINKER, LC_UUID = 0xC, 0xD, 0xE, 0x1B
LC_RPATH = 0x8000001C
LC_CODE_SIGNATURE, LC_FUNCTION_STARTS, LC_DATA_IN_CODE = 0x1D, 0x26, 0x29
LC_SOURCE_VERSION, LC_BUILD_VERSION = 0x2A, 0x32
LC_MAIN, LC_DYLD_EXPORTS_TRIE, LC_DYLD_CHAINED_FIXUPS = 0x80000028, 0x80000033, 0x80000034
PLATFORM_MACOS, PLATFORM_CATALYST = 1, 6
VM_READ, VM_WRITE, VM_EXECUTE = 1, 2, 4
SG_READ_ONLY = 0x10  # dyld makes the segment read-only when its addresses are in it

HEADER = Struct("<8I")  # magic cputype cpusubtype filetype ncmds sizeofcmds flags reserved
COMMAND = Struct("<2I")  # cmd cmdsize
SEGMENT = Struct("<2I16s4Q4I")  # … segname vmaddr vmsize fileoff filesize maxprot initprot nsects
SECTION = Struct("<16s16s2Q8I")  # sectname segname addr size offset align reloff nreloc flags r1-3
SYMTAB = Struct("<6I")  # cmd cmdsize symoff nsyms stroff strsize
DYSYMTAB = Struct("<20I")
LINKEDIT_DATA = Struct("<4I")  # cmd cmdsize dataoff datasize
DYLIB = Struct("<6I")  # cmd cmdsize nameoff timestamp current_version compatibility_version
MAIN = Struct("<2I2Q")  # cmd cmdsize entryoff stacksize
BUILD_VERSION = Struct("<6I")  # cmd cmdsize platform minos sdk ntools
NLIST = Struct("<I2BHQ")  # n_strx n_type n_sect n_desc n_value
RELOCATION = Struct("<iI")  # r_address; symbolnum:24 pcrel:1 length:2 extern:1 type:4
FAT_HEADER = Struct(">2I")  # magic nfat_arch
FAT_ARCH = Struct(">5I")  # cputype cpusubtype offset size align

# Section types (the low byte of the flags) and attributes.
SECTION_TYPE = 0xFF
S_ZEROFILL, S_GB_ZEROFILL = 0x1, 0xC
S_CSTRING_LITERALS = 0x2
S_NON_LAZY_SYMBOL_POINTERS, S_SYMBOL_STUBS = 0x6, 0x8
S_MOD_INIT, S_MOD_TERM = 0x9, 0xA
S_THREAD_LOCAL_REGULAR, S_THREAD_LOCAL_ZEROFILL, S_THREAD_LOCAL_VARIABLES = 0x11, 0x12, 0x13
S_THREAD_LOCAL_POINTERS, S_THREAD_LOCAL_INITIALISERS = 0x14, 0x15
ATTR_PURE_INSTRUCTIONS, ATTR_SOME_INSTRUCTIONS, ATTR_DEBUG = 0x80000000, 0x400, 0x02000000

# nlist
N_STAB, N_PEXT, N_TYPE, N_EXT = 0xE0, 0x10, 0x0E, 0x01
N_UNDF, N_ABS, N_SECT = 0x0, 0x2, 0xE
N_WEAK_REF, N_WEAK_DEF = 0x40, 0x80
REFERENCED_DYNAMICALLY = 0x10
INDIRECT_ABSOLUTE = 0x40000000  # a slot that no name stands behind

# <mach-o/compact_unwind_encoding.h>: how a function's frame is left.
UNWIND_FRAMELESS, UNWIND_DWARF, UNWIND_FRAME = 0x02000000, 0x03000000, 0x04000000
UNWIND_MODE_MASK, UNWIND_HAS_LSDA = 0x0F000000, 0x40000000
COMPACT_UNWIND = Struct("<QIIQQ")  # function, length, encoding, personality, LSDA

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
