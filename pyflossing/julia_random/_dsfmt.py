"""The raw dSFMT-19937 stream: seeding and 64-bit words, the layer under Julia 1.5's ``MersenneTwister``.

Algorithm: M. Saito and M. Matsumoto, "A PRNG specialized in double precision floating point numbers using
an affine transition" (MCQMC 2008), with the constants of its period 2^19937 - 1. Every word is the bit
pattern of a float64 in [1, 2): 12 constant bits and 52 random ones.

The state is kept as two *lanes* (the low and the high 64 bits of each 128-bit word) so that numpy can work
on many words at once: word n depends on words n-191 and n-74 and on a running 128-bit "lung". The lung's
recursion is ``lung[n] = c[n] ^ R(lung[n-1])`` where R (swap lanes, swap 32-bit halves) is its own inverse, so
``lung[n] = c[n] ^ R(c[n-1]) ^ lung[n-2]`` and 74 words come from two interleaved prefix-XORs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

U64 = np.uint64
Words = npt.NDArray[np.uint64]

N_STATE = 191
"""128-bit words of state, without the lung."""
LAG = 117
CHUNK = N_STATE - LAG
"""How many 128-bit words can be made at once: no word depends on the 73 before it."""
_SHIFT_LEFT = U64(19)
_SHIFT_RIGHT = U64(12)
_HALF = U64(32)
_MASKS = np.array([[0x000FFAFFFFFFFB3F], [0x000FFDFFFC90FFFD]], dtype=U64)
_LOW_MASK = 0x000FFFFFFFFFFFFF
_HIGH_CONSTANT = 0x3FF0000000000000
_FIX = np.array([0x90014964B32F4329, 0x3B8D12AC548A7C7A], dtype=U64)
_PERIOD_CHECK = np.array([0x3D84E1AC0DC82880, 0x0000000000000001], dtype=U64)

# Seeding works on the 192 x 4 words of 32 bits (lung included).
_N32 = (N_STATE + 1) * 4
_SEED_LAG = 11
_SEED_MIDDLE = (_N32 - _SEED_LAG) // 2
_SEED_FILL = 0x8B8B8B8B
_M32 = 0xFFFFFFFF
_FEW = 12
"""Seeds from which on their states are made faster together than one by one."""


def seed_words(seed: int) -> tuple[int, ...]:
    """Split a non-negative integer into 32-bit words, least significant first, as Julia <= 1.10 does."""
    words = [seed & _M32]
    seed >>= 32
    while seed:
        words.append(seed & _M32)
        seed >>= 32
    return tuple(words)


def _mix_one(key: tuple[int, ...]) -> npt.NDArray[np.uint32]:
    """``dsfmt_init_by_array`` up to the masking, for one key, on Python integers."""
    state = [_SEED_FILL] * _N32
    n_key = len(key)
    count = max(n_key + 1, _N32)
    # What is added to r in each step: the key's length first, then key and index, then the index alone.
    increments = [n_key, *(word + (j + 1) % _N32 for j, word in enumerate(key))]
    increments += [j % _N32 for j in range(n_key + 1, count)]
    r = state[-1]
    for step, increment in enumerate(increments):
        i = step % _N32
        middle = (i + _SEED_MIDDLE) % _N32
        far = (middle + _SEED_LAG) % _N32
        r ^= state[i] ^ state[middle]
        r = ((r ^ (r >> 27)) * 1664525) & _M32
        state[middle] = (state[middle] + r) & _M32
        r = (r + increment) & _M32
        state[far] = (state[far] + r) & _M32
        state[i] = r
    first = count % _N32
    for step in range(first, first + _N32):
        i = step % _N32
        middle = (i + _SEED_MIDDLE) % _N32
        far = (middle + _SEED_LAG) % _N32
        r = (r + state[i] + state[middle]) & _M32
        r = ((r ^ (r >> 27)) * 1566083941) & _M32
        state[middle] ^= r
        r = (r - i) & _M32
        state[far] ^= r
        state[i] = r
    return np.array(state, dtype=np.uint32)


def _mix_many(keys: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The same for K keys of equal length, ``keys`` of shape (length, K); returns (768, K)."""
    n_key, n_seeds = keys.shape
    state = np.full((_N32, n_seeds), _SEED_FILL, dtype=np.uint32)
    count = max(n_key + 1, _N32)
    r = state[-1].copy()
    scratch = np.empty_like(r)
    for step in range(count):
        i = step % _N32
        middle = state[(i + _SEED_MIDDLE) % _N32]
        r ^= state[i]
        r ^= middle
        np.right_shift(r, 27, out=scratch)
        r ^= scratch
        r *= np.uint32(1664525)
        middle += r
        if step == 0:
            r += np.uint32(n_key)
        else:
            if step <= n_key:
                r += keys[step - 1]
            r += np.uint32(i)
        state[(i + _SEED_MIDDLE + _SEED_LAG) % _N32] += r
        state[i] = r
    first = count % _N32
    for step in range(first, first + _N32):
        i = step % _N32
        middle = state[(i + _SEED_MIDDLE) % _N32]
        r += state[i]
        r += middle
        np.right_shift(r, 27, out=scratch)
        r ^= scratch
        r *= np.uint32(1566083941)
        middle ^= r
        r -= np.uint32(i)
        state[(i + _SEED_MIDDLE + _SEED_LAG) % _N32] ^= r
        state[i] = r
    return state


def _finish(mixed: npt.NDArray[np.uint32]) -> Words:
    """Mask the mixed words (K, 768) into [1, 2) patterns and certify the periods; returns lanes (K, 2, 192)."""
    words = mixed.astype("<u4").view("<u8").reshape(-1, N_STATE + 1, 2).astype(U64)
    words[:, :N_STATE] &= U64(_LOW_MASK)
    words[:, :N_STATE] |= U64(_HIGH_CONSTANT)
    checked = (words[:, N_STATE] ^ _FIX) & _PERIOD_CHECK
    parity = checked[:, 0] ^ checked[:, 1]
    for shift in (32, 16, 8, 4, 2, 1):
        parity ^= parity >> U64(shift)
    words[:, N_STATE, 1] ^= ~parity & U64(1)
    return np.ascontiguousarray(words.transpose(0, 2, 1))


@lru_cache(maxsize=256)
def initial_state(seed: int) -> Words:
    """Lanes (2, 192) of a freshly seeded generator; column 191 is the lung. Do not modify: it is shared."""
    state: Words = _finish(_mix_one(seed_words(seed))[None])[0]
    state.setflags(write=False)
    return state


def initial_states(seeds: Sequence[int]) -> list[Words]:
    """The states of many seeds at once: about 10 microseconds each where one alone costs 600. Few come one by one."""
    if len(seeds) < _FEW:
        return [initial_state(seed) for seed in seeds]
    keys = [seed_words(seed) for seed in seeds]
    states: list[Words | None] = [None] * len(keys)
    for length in sorted({len(key) for key in keys}):
        places = [place for place, key in enumerate(keys) if len(key) == length]
        mixed = _mix_many(np.array([keys[place] for place in places], dtype=np.uint32).T)
        for state, place in zip(_finish(np.ascontiguousarray(mixed.T)), places, strict=True):
            states[place] = state
    return [state for state in states if state is not None]


class RawStream:
    """An endless stream of 64-bit words, made on demand, addressed by their position since seeding."""

    __slots__ = ("_buffer", "_end", "_lung", "_origin", "_state", "allocated")

    def __init__(self, state: Words) -> None:
        self._state = state[:, :N_STATE]
        self._lung = state[:, N_STATE]
        self._buffer = np.empty(0, dtype=U64)
        self._origin = 0
        self._end = 0
        self.allocated = 0
        """Position of the first word that nobody has claimed yet."""

    def allocate(self, n_words: int) -> int:
        """Claim the next ``n_words`` and return the position of the first; nothing is computed yet."""
        start = self.allocated
        self.allocated += n_words
        return start

    def read(self, start: int, stop: int, keep_from: int) -> Words:
        """Words ``start`` to ``stop``; words before ``keep_from`` may be forgotten. A view: copy to keep."""
        if stop > self._end:
            self._extend(stop - self._end, min(start, keep_from))
        return self._buffer[start - self._origin : stop - self._origin]

    def _extend(self, n_words: int, keep_from: int) -> None:
        n_chunks = -(-n_words // (2 * CHUNK))
        lanes = np.empty((2, N_STATE + n_chunks * CHUNK), dtype=U64)
        lanes[:, :N_STATE] = self._state
        mixed = np.empty((2, CHUNK + 1), dtype=U64)  # the lung before the chunk, then c[0], c[1], ...
        mixed[:, 0] = self._lung
        current, swapped = mixed[:, 1:], mixed[::-1, :-1]
        lungs = np.empty((2, CHUNK), dtype=U64)
        scratch = np.empty_like(lungs)
        every_other = lungs.reshape(2, CHUNK // 2, 2)
        for first in range(0, n_chunks * CHUNK, CHUNK):
            old = lanes[:, first : first + CHUNK]
            np.left_shift(old, _SHIFT_LEFT, out=scratch)
            np.bitwise_xor(scratch, lanes[:, first + LAG : first + N_STATE], out=current)
            np.left_shift(swapped, _HALF, out=lungs)
            np.right_shift(swapped, _HALF, out=scratch)
            lungs ^= scratch
            lungs ^= current
            lungs[:, 1] ^= mixed[:, 0]
            np.bitwise_xor.accumulate(every_other, axis=1, out=every_other)
            mixed[:, 0] = lungs[:, -1]
            np.right_shift(lungs, _SHIFT_RIGHT, out=scratch)
            scratch ^= old
            lungs &= _MASKS
            np.bitwise_xor(lungs, scratch, out=lanes[:, first + N_STATE : first + N_STATE + CHUNK])
        self._state = lanes[:, -N_STATE:].copy()
        self._lung = mixed[:, 0].copy()
        kept = self._buffer[max(0, keep_from - self._origin) :]
        self._origin = self._end - len(kept)
        self._buffer = np.concatenate([kept, lanes[:, N_STATE:].T.reshape(-1)])
        self._end += 2 * n_chunks * CHUNK
