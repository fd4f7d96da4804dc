"""An ad-hoc code signature, without which Apple's ARM64 machines run nothing.

The hashes of a program's pages, in a CodeDirectory; no certificate.  All its numbers are
big-endian.  Facts: <Kernel/kern/cs_blobs.h>.
"""

from __future__ import annotations

import hashlib
from struct import Struct

MAGIC_EMBEDDED, MAGIC_CODE_DIRECTORY = 0xFADE0CC0, 0xFADE0C02
SUPER_BLOB = Struct(">3I")  # magic, length, count
BLOB_INDEX = Struct(">2I")  # type, offset
# magic length version flags hashes identifier special-slots slots limit; hash size, hash,
# platform, log2 of the page; spare scatter team spare limit64 segment base, limit, flags
CODE_DIRECTORY = Struct(">9I4B4I4Q")
VERSION = 0x20400  # the first with the executable segment
ADHOC, LINKER_SIGNED = 0x2, 0x20000
SHA256, SHA256_SIZE = 2, 32
PAGE_LOG2 = 12
MAIN_BINARY = 1
START = SUPER_BLOB.size + BLOB_INDEX.size


def signature_size(limit: int, identifier: str) -> int:
    """Bytes of the signature of `limit` bytes of a file, with padding to 16."""
    slots = -(-limit // (1 << PAGE_LOG2))
    name = len(_name(identifier))
    size = START + CODE_DIRECTORY.size + name + slots * SHA256_SIZE
    return -(-size // 16) * 16


def _name(identifier: str) -> bytes:
    return identifier.encode("utf-8", "surrogateescape") + b"\0"


def signature(code: bytes | bytearray, identifier: str, text_size: int) -> bytes:
    """The signature of all that is before it; `text_size` is what of it can be executed."""
    name = _name(identifier)
    page = 1 << PAGE_LOG2
    hashes = [hashlib.sha256(code[at : at + page]).digest() for at in range(0, len(code), page)]
    hashes_at = CODE_DIRECTORY.size + len(name)
    length = hashes_at + SHA256_SIZE * len(hashes)
    directory = CODE_DIRECTORY.pack(
        MAGIC_CODE_DIRECTORY,
        length,
        VERSION,
        ADHOC | LINKER_SIGNED,
        hashes_at,
        CODE_DIRECTORY.size,
        0,
        len(hashes),
        len(code),
        SHA256_SIZE,
        SHA256,
        0,
        PAGE_LOG2,
        0,
        0,
        0,
        0,
        0,
        0,
        text_size,
        MAIN_BINARY,
    )
    blob = SUPER_BLOB.pack(MAGIC_EMBEDDED, START + length, 1) + BLOB_INDEX.pack(0, START)
    blob += directory + name + b"".join(hashes)
    return blob + bytes(-len(blob) % 16)
