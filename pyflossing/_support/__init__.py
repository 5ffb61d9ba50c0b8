"""What every room uses: checks of arguments, files and folders, TOML, JSON and npz, signals, errors, the version."""

from pyflossing._support.errors import DamagedFileError, NonFiniteError

__all__ = ["DamagedFileError", "NonFiniteError"]
