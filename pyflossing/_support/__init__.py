"""What every room uses: checks of arguments, files, folders, TOML, JSON and npz, signals, errors, norms, alignment."""

from pyflossing._support.errors import DamagedFileError, NonFiniteError

__all__ = ["DamagedFileError", "NonFiniteError"]
