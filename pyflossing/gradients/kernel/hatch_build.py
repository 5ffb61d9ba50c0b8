"""Compiles the kernel as the package is installed, where there is a C compiler; without one nothing changes."""

from __future__ import annotations

import runpy
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNEL = "pyflossing/gradients/kernel"


class KernelHook(BuildHookInterface[Any]):
    """Into the checkout for an editable installation; else into the wheel, which is then one for this platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the files are collected."""
        source = Path(self.root, KERNEL)
        build = runpy.run_path(str(source / "build.py"))["build"]
        if version == "editable":
            for stale in source.glob("*.so"):
                stale.unlink()
            build(source)
            return
        self.folder = tempfile.TemporaryDirectory()
        libraries = build(Path(self.folder.name))
        if libraries:
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
            build_data["force_include"].update({str(path): f"{KERNEL}/{path.name}" for path in libraries})

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what has been copied into the wheel."""
        if hasattr(self, "folder"):
            self.folder.cleanup()
