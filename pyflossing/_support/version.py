"""The version of the package, for its files and its command line."""

__version__ = "0.2.0"
