"""Any file that holds AArch64 or x86-64 code: one image, or one for each member of an archive."""

from __future__ import annotations

from callproof.check.image import Image, Region
from callproof.check.load_elf import image_of_elf
from callproof.check.load_macho import image_of_macho
from callproof.check.load_object import image_of_object
from callproof.object import elf_format, macho_format, read_object
from callproof.object.archive import MAGIC, THIN_MAGIC, read_archive
from callproof.source import CallproofError

MH_OBJECT_OFFSET = 12


def load_images(data: bytes, name: str) -> tuple[list[Image], list[CallproofError]]:
    """The images, and what was wrong with members that are none.

    Raises `CallproofError` if nothing of the file can be checked.
    """
    if data[:8] in (MAGIC, THIN_MAGIC):
        return _archive(data, name)
    return [_image(data, name)], []


def _archive(data: bytes, name: str) -> tuple[list[Image], list[CallproofError]]:
    images: list[Image] = []
    problems: list[CallproofError] = []
    for member, content in read_archive(data, name, indexed=False).members():
        try:
            images.append(_image(content, f"{name}({member})"))
        except CallproofError as error:
            problems.append(error)
    if not images and problems:
        raise problems[0]
    return images, problems


def _image(data: bytes, name: str) -> Image:
    magic = int.from_bytes(data[:4], "little")
    if magic == macho_format.MAGIC_64:
        kind = int.from_bytes(data[MH_OBJECT_OFFSET : MH_OBJECT_OFFSET + 4], "little")
        if kind != macho_format.MH_OBJECT:
            return image_of_macho(data, name)
        return image_of_object(read_object(data, name))
    if int.from_bytes(data[:4], "big") == macho_format.FAT_MAGIC:
        return _fat(data, name)
    if data[:4] != elf_format.MAGIC:
        raise CallproofError(
            f"{name}: neither ELF, Mach-O nor an archive; for plain code give --raw --base ADDRESS"
        )
    if len(data) < 18 or int.from_bytes(data[16:18], "little") == elf_format.ET_REL:
        return image_of_object(read_object(data, name))
    return image_of_elf(data, name)


def _fat(data: bytes, name: str) -> Image:
    count = int.from_bytes(data[4:8], "big")
    table = data[8 : 8 + min(count, 64) * macho_format.FAT_ARCH.size]
    usable = len(table) // macho_format.FAT_ARCH.size * macho_format.FAT_ARCH.size
    for cpu, _, offset, size, _ in macho_format.FAT_ARCH.iter_unpack(table[:usable]):
        if cpu == macho_format.CPU_ARM64 and offset >= 8 and offset + size <= len(data):
            return _image(data[offset : offset + size], name)
    raise CallproofError(f"{name}: this fat file has no whole part for ARM64")


def raw_image(data: bytes, name: str, base: int) -> Image:
    """Plain code that lies at `base`; its first instruction starts a function."""
    if base % 4:
        raise CallproofError(f"{name}: the base {base:#x} is not a multiple of 4")
    if len(data) < 4:
        raise CallproofError(f"{name}: no instruction is in {len(data)} bytes")
    image = Image(name, starts={base})
    image.regions.append(Region(base, data[: len(data) & ~3], True, "code"))
    return image.finish()
