"""Julia's random streams in Python, bit for bit.

:class:`MersenneTwister` is the global generator of Julia up to 1.5 after ``Random.seed!(k)``;
:class:`Xoroshiro128Star` is the generator of RandomNumbers.jl 1.5.3 that draws the task data.
"""

from pyflossing.julia_random._mersenne_twister import MersenneTwister
from pyflossing.julia_random._xoroshiro import Xoroshiro128Star

__all__ = ["MersenneTwister", "Xoroshiro128Star"]
