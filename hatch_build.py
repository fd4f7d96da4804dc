"""Build hook: compile the C runtime into the wheel (not into an editable install)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGETS = ("aarch64-linux", "x86_64-linux")


class RuntimeHook(BuildHookInterface[Any]):  # type: ignore[misc]  # not installed everywhere
    """Puts `callproof/runtime/lib/TARGET/` into the wheel: our runtime and musl's files."""

    folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or self.target_name != "wheel":
            return
        sys.path.insert(0, str(Path(self.root) / "src"))
        from callproof.runtime.build import build_gnu_runtime, build_runtime
        from callproof.runtime.build_macos import build_macos_runtime

        # The builder reads the files after this returns; they go in `finalize`.
        self.folder = tempfile.TemporaryDirectory(prefix="callproof-runtime-")
        flavours = (("", build_runtime), ("-gnu", build_gnu_runtime))
        wanted = [(target, *flavour) for target in TARGETS for flavour in flavours]
        wanted.append(("aarch64-macos", "", build_macos_runtime))
        for target, suffix, build in wanted:
            place = Path(self.folder.name) / (target + suffix)
            place.mkdir()
            build(target, place, self.app.display_info)
            for path in sorted(place.iterdir()):
                inside = f"callproof/runtime/lib/{place.name}/{path.name}"
                build_data["force_include"][str(path)] = inside

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self.folder is not None:
            self.folder.cleanup()
