"""The random streams of Julia 1.5 in Python, bit for bit.

:class:`MersenneTwister` is the global generator of Julia 1.5 after ``Random.seed!(k)``. Other versions draw other
numbers in part: up to 1.4 in bulk ``randn`` of Float64, from 1.6 on in integers and bits, from 1.7 on in everything;
:class:`Xoroshiro128Star` is the generator of RandomNumbers.jl 1.5.3 that draws the task data.
"""

from pyflossing.julia_random._mersenne_twister import MersenneTwister
from pyflossing.julia_random._xoroshiro import Xoroshiro128Star

__all__ = ["MersenneTwister", "Xoroshiro128Star"]
