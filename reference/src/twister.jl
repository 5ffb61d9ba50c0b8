# The global generator of Julia 1.5 as an object of our own: old seeding, old caches, on every Julia.
#
# Only the raw dSFMT stream comes from the standard library (Random.DSFMT). Seeding changed in Julia 1.11,
# the integer cache in 1.6 and `shuffle!` later still, so all of that is written out here. Specification, section 1.

import Random

const FLOAT_CACHE = 1002
const INTEGER_CACHE = 501

mutable struct Twister
    state::Random.DSFMT.DSFMT_state
    floats::Vector{UInt64}   # words of the float cache; the next one is floats[used + 1]
    used::Int
    integers::Vector{UInt64} # words of the integer cache, served from the end
    Twister(seed::Integer) = reseed!(new(Random.DSFMT.DSFMT_state()), seed)
end

"The seed in 32-bit words, least significant first."
function seed_words(seed::Integer)
    seed >= 0 || throw(DomainError(seed, "the seed of a MersenneTwister must be non-negative"))
    words = UInt32[seed & 0xffffffff]
    while (seed >>= 32) != 0
        push!(words, seed & 0xffffffff)
    end
    return words
end

function reseed!(rng::Twister, seed::Integer)
    Random.DSFMT.dsfmt_init_by_array(rng.state, seed_words(seed))
    rng.floats = UInt64[]
    rng.used = 0
    rng.integers = UInt64[]
    return rng
end

"The next `n` words of the stream, by-passing the caches; n is even and at least 382."
function stream_words(rng::Twister, n::Int)
    buffer = Vector{Float64}(undef, n + 1)
    GC.@preserve buffer begin
        start = pointer(buffer)
        shift = UInt(start) % 16 == 0 ? 0 : 1 # dSFMT writes to 16-byte boundaries
        Random.DSFMT.dsfmt_fill_array_close1_open2!(rng.state, start + 8shift, n)
    end
    return collect(reinterpret(UInt64, buffer[1+shift:n+shift]))
end

available(rng::Twister) = length(rng.floats) - rng.used

function refill!(rng::Twister)
    rng.floats = stream_words(rng, FLOAT_CACHE)
    rng.used = 0
    return nothing
end

function next_word!(rng::Twister)
    available(rng) == 0 && refill!(rng)
    return rng.floats[rng.used += 1]
end

"Words for an array of `n` Float64: a long one takes all but its last two or three from the stream directly."
function array_words!(rng::Twister, n::Int)
    direct = (n - 2) ÷ 2 * 2
    words = UInt64[]
    if direct >= 382
        append!(words, stream_words(rng, direct))
    elseif available(rng) == 0
        refill!(rng) # even for an empty array
    end
    while length(words) < n
        push!(words, next_word!(rng))
    end
    return words
end

as_wide(words::Vector{UInt64}) = collect(reinterpret(UInt128, words))

"""
`n` integers of 128 random bits. A 128-bit word of the stream lacks 12 bits at the top of each half; one such
word, shifted by 48, 36, 24 and 12, mends four others (from the end backwards) and is then drawn anew.
"""
function wide_integers!(rng::Twister, n::Int)
    wide = Vector{UInt128}(undef, n)
    fresh = n
    open = n
    while true
        wide[1:fresh] = as_wide(array_words!(rng, 2fresh))
        open < 5 && break
        fresh = 0
        while open - fresh >= 5
            mender = wide[fresh += 1]
            for shift in (48, 36, 24, 12)
                wide[open] ⊻= mender << shift
                open -= 1
            end
        end
    end
    if open > 0
        available(rng) < 2 && refill!(rng) # a single word that is left is dropped
        mender = UInt128(next_word!(rng)) << 64
        mender |= next_word!(rng)
        for i in 1:open
            wide[i] ⊻= mender << 12i
        end
    end
    return wide
end

draw_uniform(rng::Twister, ::Type{Float64}) = uniform(next_word!(rng))
draw_uniform(rng::Twister, ::Type{Float32}) = small_float(next_word!(rng) % UInt32)
draw_uniform(rng::Twister, ::Type{Float64}, n::Int) = uniform.(array_words!(rng, n))

small_float(word::UInt32) = reinterpret(Float32, (word & 0x007fffff) | 0x3f800000) - 1.0f0

function draw_uniform(rng::Twister, ::Type{Float32}, n::Int)
    quads = as_wide(array_words!(rng, 2(n ÷ 4)))
    values = small_float.(collect(reinterpret(UInt32, quads .⊻ (quads .<< 26))))
    while length(values) < n
        push!(values, draw_uniform(rng, Float32))
    end
    return values
end

function draw_uniform(rng::Twister, ::Type{UInt64})
    if isempty(rng.integers)
        rng.integers = collect(reinterpret(UInt64, wide_integers!(rng, INTEGER_CACHE)))
    end
    return pop!(rng.integers)
end

function draw_uniform(rng::Twister, ::Type{UInt64}, n::Int)
    words = collect(reinterpret(UInt64, wide_integers!(rng, n ÷ 2)))
    isodd(n) && push!(words, draw_uniform(rng, UInt64))
    return words
end

draw_normal(rng::Twister, ::Type{T}) where {T} = convert(T, normal(next_word!(rng), () -> next_word!(rng)))

function draw_normal(rng::Twister, ::Type{T}, n::Int) where {T}
    (T == Float64 && n >= 13) || return T[draw_normal(rng, T) for _ in 1:n]
    return [normal(word, () -> next_word!(rng)) for word in array_words!(rng, n)]
end

"The first `n` bits of whole words, lowest bit first."
unpack_bits(words::Vector{UInt64}, n::Int) = Bool[isodd(words[(i - 1) ÷ 64 + 1] >> ((i - 1) % 64)) for i in 1:n]

draw_bits(rng::Twister, n::Int) = n == 0 ? Bool[] : unpack_bits(draw_uniform(rng, UInt64, cld(n, 64)), n)

function draw_below(rng::Twister, n::Int, mask::Int)
    while true
        candidate = Int(next_word!(rng) & mask)
        candidate < n && return candidate
    end
end

function draw_permutation(rng::Twister, n::Int)
    permutation = ones(Int, n)
    mask = 3
    for i in 2:n
        j = 1 + draw_below(rng, i, mask)
        permutation[i] = permutation[j]
        permutation[j] = i
        i == 1 + mask && (mask = 2mask + 1)
    end
    return permutation
end

function shuffled(rng::Twister, values::AbstractVector)
    result = collect(values)
    n = length(result)
    n <= 1 && return result
    mask = nextpow(2, n) - 1
    for i in n:-1:2
        mask >> 1 == i && (mask >>= 1)
        j = 1 + draw_below(rng, i, mask)
        result[i], result[j] = result[j], result[i]
    end
    return result
end
