"""Build hook: compile the C runtime into the wheel (not into an editable install)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGETS = ("aarch64-linux", "x86_64-linux")


class RuntimeHook(BuildHookInterface[Any]):  # type: ignore[misc]  # not installed everywhere
    """Puts `callproof/runtime/lib/TARGET/` into the wheel: our runtime and musl's files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or self.target_name != "wheel":
            return
        sys.path.insert(0, str(Path(self.root) / "src"))
        from callproof.runtime.build import build_runtime

        folder = Path(self.directory) / "runtime"
        for target in TARGETS:
            place = folder / target
            place.mkdir(parents=True, exist_ok=True)
            build_runtime(target, place, self.app.display_info)
            for path in sorted(place.iterdir()):
                inside = f"callproof/runtime/lib/{target}/{path.name}"
                build_data["force_include"][str(path)] = inside
