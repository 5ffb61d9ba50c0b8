"""The ``MersenneTwister`` of Julia 1.5 (the stream of the recorded runs), bit for bit.

Julia serves draws from two caches that are filled from one dSFMT stream: 1002 floats (which also feed
``randn``, ``shuffle`` and ``randperm``) and 501 integers of 128 bits. Long arrays by-pass the caches but for
their last two elements. All of that decides which word goes where when calls are interleaved, so it is
copied here call by call, after the documented behaviour of Julia 1.5's standard library ``Random``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pyflossing._support.arguments import FieldError, require_integer, require_shape
from pyflossing._support.memory import require_array_memory
from pyflossing.julia_random._bits import bits_from_words
from pyflossing.julia_random._dsfmt import U64, RawStream, Words, initial_state, initial_states
from pyflossing.julia_random._ziggurat import normal, normals, uniform

_FLOAT_CACHE = 1002
_INT_CACHE = 501
"""Integers of 128 bits in the cache."""
_MIN_DIRECT = 382
"""Shortest run that the library fills directly: the size of dSFMT's own state in doubles."""
_MIN_BULK_NORMALS = 13
_SEEDS_AT_ONCE = 4096
_LOOK_AHEAD = 32
_OF_PYTHON = 40
"""Bytes of an integer in a list."""
_FLOAT32_MASK = U64(0x007FFFFF007FFFFF)
_FLOAT32_ONE = U64(0x3F8000003F800000)

Shape = int | tuple[int, ...] | None


class MersenneTwister:
    """The generator behind weights, initial states, orthonormal frames and the order of trials.

    ``shape=None`` makes one scalar draw and an integer or a tuple an array draw (filled column-major); the
    two consume the stream differently, as in Julia.

    Args:
        seed: any integer >= 0, as for ``Random.seed!`` of Julia 1.5.

    Raises:
        ValueError: negative or non-integer seed, unknown dtype, negative dimension.
    """

    __slots__ = (
        "_cache_length",
        "_cache_next",
        "_cache_start",
        "_integers",
        "_integers_left",
        "_raw",
        "_ready",
        "_ready_start",
    )

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, k: int) -> None:
        """Start the stream of seed ``k`` afresh; both caches are emptied."""
        self._restart(initial_state(require_integer("seed", k, minimum=0)))

    @classmethod
    def from_seeds(cls, seeds: Iterable[int]) -> Iterator[MersenneTwister]:
        """Freshly seeded generators for many seeds, prepared in batches: much faster than one by one."""
        if not isinstance(seeds, Iterable):
            raise FieldError("seeds", seeds, "it must be integers in a list, a range or the like")
        remaining = iter(seeds)
        while batch := [require_integer("seed", k, minimum=0) for k in islice(remaining, _SEEDS_AT_ONCE)]:
            for state in initial_states(batch):
                generator = cls.__new__(cls)
                generator._restart(state)
                yield generator

    @overload
    def rand(self, shape: None = None, dtype: npt.DTypeLike = np.float64) -> Any: ...
    @overload
    def rand(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]: ...
    def rand(self, shape: Shape = None, dtype: npt.DTypeLike = np.float64) -> Any:
        """Uniform draws: float64 or float32 in [0, 1), or uint64 over all 64 bits."""
        kind = _dtype_name(dtype, ("float64", "float32", "uint64"))
        if shape is None:
            return self._rand_scalar(kind)
        dimensions = require_shape("shape", shape)
        require_array_memory("shape", shape, dimensions)
        n = math.prod(dimensions)
        if kind == "float64":
            values: npt.NDArray[Any] = self._words(n).view(np.float64) - 1.0
        elif kind == "float32":
            values = self._rand_float32(n)
        else:
            values = self._rand_uint64(n)
        return values.reshape(dimensions, order="F")

    @overload
    def randn(self, shape: None = None, dtype: npt.DTypeLike = np.float64) -> Any: ...
    @overload
    def randn(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]: ...
    def randn(self, shape: Shape = None, dtype: npt.DTypeLike = np.float64) -> Any:
        """Standard normal draws, computed in float64; float32 is rounded from that."""
        kind = _dtype_name(dtype, ("float64", "float32"))
        if shape is None:
            return np.dtype(kind).type(normal(self._pop(), self._pop))
        dimensions = require_shape("shape", shape)
        require_array_memory("shape", shape, dimensions)
        n = math.prod(dimensions)
        if kind == "float64" and n >= _MIN_BULK_NORMALS:
            values = self._bulk_normals(n)
        else:
            values = self._sequential_normals(n)
        return values.astype(kind).reshape(dimensions, order="F")

    def bitrand(self, shape: int | tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """Random booleans, as ``bitrand`` of Julia 1.5."""
        dimensions = require_shape("shape", shape)
        require_array_memory("shape", shape, dimensions, bytes_each=1)
        n_bits = math.prod(dimensions)
        if n_bits == 0:  # Julia returns at once, before it would touch a cache
            return np.zeros(dimensions, dtype=np.bool_)
        return bits_from_words(self._rand_uint64(-(-n_bits // 64)), dimensions)

    def randperm(self, n: int) -> npt.NDArray[np.int64]:
        """A random permutation of 1..n (one-based as in Julia), shape (n,)."""
        size = require_integer("n", n, minimum=0)
        require_array_memory("n", n, (size,), _OF_PYTHON)
        permutation = [0] * size
        mask = 3
        if size:
            permutation[0] = 1
        for i in range(2, size + 1):
            j = self._below(i, mask)
            permutation[i - 1] = permutation[j]
            permutation[j] = i
            if i == 1 + mask:
                mask = 2 * mask + 1
        return np.array(permutation, dtype=np.int64)

    def shuffle(self, x: Sequence[Any] | npt.NDArray[Any] | range) -> npt.NDArray[Any]:
        """A shuffled copy of a one-dimensional sequence: ``shuffle(range(1, 17))`` is Julia 1.5's ``shuffle(1:16)``."""
        if isinstance(x, range):
            require_array_memory("x", x, (max(0, (x.stop - x.start) // x.step),), _OF_PYTHON)
            return np.array(self._shuffled(list(x)), dtype=np.int64)
        try:
            values = np.asarray(x)
        except (ValueError, TypeError):  # lists of lists of different lengths
            values = np.empty(())
        if values.ndim != 1:
            raise FieldError("x", x, "it must have one dimension")
        return values[np.array(self._shuffled(list(range(len(values)))), dtype=np.intp)]

    def _shuffled(self, items: list[int]) -> list[int]:
        n = len(items)
        mask = (1 << (n - 1).bit_length()) - 1 if n > 1 else 0
        for i in range(n, 1, -1):
            if mask >> 1 == i:
                mask >>= 1
            j = self._below(i, mask)
            items[i - 1], items[j] = items[j], items[i - 1]
        return items

    # The two caches.

    def _restart(self, state: Words) -> None:
        self._raw = RawStream(state)
        self._ready: list[int] = []  # some words of the float cache as integers, from _ready_start on
        self._ready_start = 0
        self._cache_start = 0
        self._cache_length = 0
        self._cache_next = 0
        self._integers = np.empty(0, dtype=U64)
        self._integers_left = 0

    def _refill(self, cache_fulls: int = 1) -> None:
        """A new float cache. Several cache-fulls in a row are one long one: the words are the same."""
        n_words = cache_fulls * _FLOAT_CACHE
        self._cache_start = self._raw.allocate(n_words)
        self._cache_length = n_words
        self._cache_next = 0
        self._ready = []
        self._ready_start = 0

    def _cached(self, stop: int) -> Words:
        """The words of the float cache from the next one up to ``stop``."""
        first = self._cache_start + self._cache_next
        return self._raw.read(first, self._cache_start + stop, first)

    def _pop(self) -> int:
        """The next word of the float cache."""
        place = self._cache_next - self._ready_start
        if place >= len(self._ready):
            place = self._look_ahead()
        self._cache_next += 1
        return self._ready[place]

    def _look_ahead(self) -> int:
        """Turn the next few words of the float cache into Python integers; returns 0, the place of the first."""
        if self._cache_next == self._cache_length:
            self._refill()
        self._ready = self._cached(min(self._cache_next + _LOOK_AHEAD, self._cache_length)).tolist()
        self._ready_start = self._cache_next
        return 0

    def _below(self, n: int, mask: int) -> int:
        """A random integer from 0 to n - 1, by rejection under ``mask``."""
        while (candidate := self._pop() & mask) >= n:
            pass
        return candidate

    def _from_cache(self, n: int) -> Words:
        """``n`` <= 383 words of the float cache, refilled at most once. An empty cache is refilled for n = 0 too."""
        if self._cache_next == self._cache_length:
            self._refill()
        first = min(n, self._cache_length - self._cache_next)
        words = self._cached(self._cache_next + first).copy()
        self._cache_next += first
        if first < n:
            self._refill()
            words = np.concatenate([words, self._cached(n - first)])
            self._cache_next = n - first
        return words

    def _words(self, n: int) -> Words:
        """``n`` words as for an array of Float64: directly from the stream if long, but for the last two or three."""
        direct = (n - 2) // 2 * 2
        if direct < _MIN_DIRECT:
            return self._from_cache(n)
        pending = self._cache_start + self._cache_next
        start = self._raw.allocate(direct)
        words = np.empty(n, dtype=U64)
        words[:direct] = self._raw.read(start, start + direct, pending)
        for i in range(direct, n):
            words[i] = self._pop()
        return words

    # Draws of one type.

    def _rand_scalar(self, kind: str) -> Any:
        if kind == "float64":
            return np.float64(uniform(self._pop()))
        if kind == "float32":
            return self._float32_tail(1)[0]
        if not self._integers_left:
            self._integers = self._words_128(_INT_CACHE).reshape(-1)
            self._integers_left = len(self._integers)
        self._integers_left -= 1
        return self._integers[self._integers_left]

    def _rand_float32(self, n: int) -> npt.NDArray[np.float32]:
        """Four numbers from 128 bits; what is left over comes from the float cache."""
        quads = self._words(n // 4 * 2).reshape(-1, 2)
        mixed = quads ^ (quads << U64(26))
        mixed[:, 1] ^= quads[:, 0] >> U64(38)
        values = ((mixed & _FLOAT32_MASK) | _FLOAT32_ONE).reshape(-1).view(np.float32) - np.float32(1)
        return np.concatenate([values, self._float32_tail(n % 4)])

    def _float32_tail(self, n: int) -> npt.NDArray[np.float32]:
        bits = np.array([self._pop() & 0x7FFFFF | 0x3F800000 for _ in range(n)], dtype=np.uint32)
        return bits.view(np.float32) - np.float32(1)

    def _rand_uint64(self, n: int) -> Words:
        """Pairs from 128-bit integers; an odd one comes from the integer cache."""
        pairs = self._words_128(n // 2).reshape(-1)
        return np.append(pairs, self._rand_scalar("uint64")) if n % 2 else pairs

    def _words_128(self, n: int) -> Words:
        """``n`` random integers of 128 bits, shape (n, 2), low word first.

        A word of the stream has 52 random bits, so 12 are missing at its top. One 128-bit word, shifted by
        48, 36, 24 and 12, tops up four others (from the end backwards) and is then drawn anew.
        """
        integers = np.empty((n, 2), dtype=U64)
        fresh, to_mend = n, n
        while True:
            integers[:fresh] = self._words(2 * fresh).reshape(-1, 2)
            if to_mend < 5:
                break
            fresh = -(-(to_mend - 4) // 5)
            for place, shift in enumerate((48, 36, 24, 12)):
                mended = integers[to_mend - 1 - place :: -4][:fresh]
                mended ^= _shift_left_128(integers[:fresh], shift)
            to_mend -= 4 * fresh
        if to_mend:
            if self._cache_length - self._cache_next < 2:  # Julia drops a single word that is left
                self._refill()
            high, low = self._pop(), self._pop()
            word = np.array([[low, high]], dtype=U64)
            for i in range(to_mend):
                integers[i] ^= _shift_left_128(word, 12 * (i + 1))[0]
        return integers

    def _bulk_normals(self, n: int) -> npt.NDArray[np.float64]:
        """All first tries from one array fill; the rejected ones draw on from the float cache afterwards."""
        words = self._words(n)
        values, rejected = normals(words)
        for place in np.flatnonzero(rejected):
            values[place] = normal(int(words[place]), self._pop)
        return values

    def _sequential_normals(self, n: int) -> npt.NDArray[np.float64]:
        """One after the other from the float cache, as a loop of scalar draws, but vectorised between rejections."""
        values = np.empty(n)
        done = 0
        while done < n:
            if self._cache_next == self._cache_length:
                # At least n - done words will go: so many cache-fulls are certain to be used up.
                self._refill(max(1, (n - done) // _FLOAT_CACHE))
            start, first = self._cache_start, self._cache_next
            words = self._cached(min(self._cache_length, first + n - done)).copy()
            tries, rejected = normals(words)
            place = 0
            for reject in np.flatnonzero(rejected).tolist():
                if reject < place:  # already consumed by the rejection before
                    continue
                values[done : done + reject - place] = tries[place:reject]
                done += reject - place
                self._cache_next = first + reject + 1
                values[done] = normal(int(words[reject]), self._pop)
                done += 1
                place = self._cache_next - first
                if self._cache_start != start or place >= len(words):
                    break
            if self._cache_start == start and place < len(words):
                values[done : done + len(words) - place] = tries[place:]
                done += len(words) - place
                self._cache_next = first + len(words)
        return values


def _dtype_name(dtype: npt.DTypeLike, names: tuple[str, ...]) -> str:
    try:
        # numpy takes None for float64, and whatever has an attribute of that name
        found = np.dtype(dtype) if isinstance(dtype, str | type | np.dtype) else None
    except (TypeError, ValueError, SyntaxError):
        found = None
    for name in names:
        if found == name:
            return name
    raise FieldError("dtype", dtype if found is None else found.name, f"it must be one of {', '.join(names)}")


def _shift_left_128(pairs: Words, bits: int) -> Words:
    """Shift (m, 2) pairs (low, high) left by 0 < bits < 64."""
    low, high = pairs[:, 0], pairs[:, 1]
    return np.stack([low << U64(bits), (high << U64(bits)) | (low >> U64(64 - bits))], axis=1)
