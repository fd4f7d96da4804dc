"""Packages of all kinds, made by hand so that no packager is needed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from importlib import import_module

Files = dict[str, bytes]


def tar(files: Files) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("./link")
        link.type, link.linkname = tarfile.SYMTYPE, "usr"
        archive.addfile(link)
    return out.getvalue()


def zip_(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def ar(members: Files) -> bytes:
    out = bytearray(b"!<arch>\n")
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return bytes(out)


def zstd(data: bytes) -> bytes:
    packed: bytes = import_module("zstandard").ZstdCompressor().compress(data)
    return packed


def deb(pack: Callable[[bytes], bytes], suffix: str) -> Callable[[Files], bytes]:
    def make(files: Files) -> bytes:
        control = gzip.compress(tar({"control": b"Package: test\n"}))
        return ar(
            {
                "debian-binary": b"2.0\n",
                "control.tar.gz": control,
                f"data.tar.{suffix}": pack(tar(files)),
            }
        )

    return make


def _cpio(files: Files) -> bytes:
    """The "new ASCII" format (cpio(5))."""
    out = bytearray()
    for name, data in {**files, "TRAILER!!!": b""}.items():
        path = name.encode() + b"\0"
        fields = [1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0]
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        out += b"\0" * (-len(out) % 4)
        out += data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def _rpm_header(strings: dict[int, bytes]) -> bytes:
    index, store = b"", b""
    for tag, value in strings.items():
        index += struct.pack(">4I", tag, 6, len(store), 1)  # type 6: a string
        store += value + b"\0"
    return b"\x8e\xad\xe8\x01" + struct.pack(">3I", 0, len(strings), len(store)) + index + store


def rpm(files: Files) -> bytes:
    """Lead, signature (empty), header, payload: the layout of RPM 3 and 4 packages."""
    lead = struct.pack(">4sBBHH66sHH16x", b"\xed\xab\xee\xdb", 3, 0, 0, 19, b"test-1-1", 1, 5)
    signature = _rpm_header({})
    signature += b"\0" * (-len(signature) % 8)
    # PAYLOADFORMAT, PAYLOADCOMPRESSOR
    header = _rpm_header({1000: b"test", 1124: b"cpio", 1125: b"gzip"})
    return lead + signature + header + gzip.compress(_cpio({f"./{n}": d for n, d in files.items()}))


KINDS: dict[str, Callable[[Files], bytes]] = {
    "tar": tar,
    "tar.gz": lambda files: gzip.compress(tar(files)),
    "tar.xz": lambda files: lzma.compress(tar(files)),
    "tar.bz2": lambda files: bz2.compress(tar(files)),
    "tar.zst": lambda files: zstd(tar(files)),
    "whl": zip_,
    "deb of xz": deb(lzma.compress, "xz"),
    "deb of zst": deb(zstd, "zst"),
    "rpm": rpm,
    "zip in tar.gz": lambda files: gzip.compress(tar({"inner.zip": zip_(files)})),
    "deb in zip": lambda files: zip_({"inner.deb": deb(gzip.compress, "gz")(files)}),
}
NEEDS = {
    "tar.zst": ("zstandard",),
    "deb of xz": ("arpy",),
    "deb of zst": ("arpy", "zstandard"),
    "rpm": ("rpmfile",),
    "deb in zip": ("arpy",),
}
