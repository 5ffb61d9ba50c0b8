"""Lyapunov spectra and flossing of anybody's own step function or torch module; docs/modules.md tells how."""

from pyflossing.modules.check import check_jacobian
from pyflossing.modules.finite_time import finite_time_exponents
from pyflossing.modules.flossing import floss
from pyflossing.modules.lyapunov import lyapunov_spectrum
from pyflossing.modules.result import LyapunovSpectrum

__all__ = ["LyapunovSpectrum", "check_jacobian", "finite_time_exponents", "floss", "lyapunov_spectrum"]
