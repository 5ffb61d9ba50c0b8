# Xoroshiro128Star as in RandomNumbers.jl 1.5.3: the seed is the 128-bit state, two steps are dropped.
# Specification, section 1.

mutable struct Xoroshiro
    x::UInt64
    y::UInt64
end

function Xoroshiro(seed::Integer)
    seed == 0 && throw(ArgumentError("0 cannot be the seed"))
    rng = Xoroshiro(seed % UInt64, (seed >> 64) % UInt64)
    next_word!(rng)
    next_word!(rng)
    return rng
end

rotate_left(x::UInt64, k::Int) = (x << k) | (x >> (64 - k))

function next_word!(rng::Xoroshiro)
    rng.y ⊻= rng.x
    rng.x = rotate_left(rng.x, 24) ⊻ rng.y ⊻ (rng.y << 16)
    rng.y = rotate_left(rng.y, 37)
    return rng.y * 2685821657736338717
end

draw_words(rng::Xoroshiro, n::Int) = UInt64[next_word!(rng) for _ in 1:n]
draw_bits(rng::Xoroshiro, n::Int) = unpack_bits(draw_words(rng, cld(n, 64)), n)
