"""Finding or fetching a Julia to compare the Python port with."""

from parity.obtain.doctor import describe
from parity.obtain.model import Attempt, JuliaInstallation
from parity.obtain.order import search

__all__ = ["Attempt", "JuliaInstallation", "describe", "search"]
