# Programs of draws, so that any interleaving of calls can be compared with another implementation.
#
# A program is an integer matrix with a row for each draw: kind, number of dimensions (0: a scalar), and up to
# three dimensions. Kinds: 1 rand Float64, 2 rand Float32, 3 rand UInt64, 4 randn Float64, 5 randn Float32,
# 6 bitrand, 7 randperm(d1), 8 shuffle(1:d1).

const ELEMENT_TYPES = (Float64, Float32, UInt64, Float64, Float32)

shape_of(row) = Tuple(Int.(row[3:2+row[2]]))

function run_program(draw, program::AbstractMatrix)
    return Tuple(draw(Int(row[1]), shape_of(row)) for row in eachrow(program))
end

"The results of a program of draws after seeding our Twister with `seed`."
function twister_draws(seed, program)
    rng = Twister(seed)
    return run_program(program) do kind, shape
        kind == 8 && return shuffled(rng, 1:shape[1])
        kind == 7 && return draw_permutation(rng, shape[1])
        kind == 6 && return reshape(draw_bits(rng, prod(shape)), shape)
        T = ELEMENT_TYPES[kind]
        draw = kind <= 3 ? draw_uniform : draw_normal
        return isempty(shape) ? draw(rng, T) : reshape(draw(rng, T, prod(shape)), shape)
    end
end

"Kinds of draws for which this Julia's own MersenneTwister still gives the numbers of Julia 1.5."
native_twister_kinds() = VERSION < v"1.6" ? collect(1:8) : [1, 2, 5]

"The same program on the standard library's MersenneTwister, seeded the old way."
function native_twister_draws(seed, program)
    rng = Random.MersenneTwister(0)
    Random.DSFMT.dsfmt_init_by_array(rng.state, seed_words(seed))
    Random.mt_setempty!(rng)
    Random.mt_setempty!(rng, UInt128)
    return run_program(program) do kind, shape
        kind == 8 && return Random.shuffle(rng, 1:shape[1])
        kind == 7 && return Random.randperm(rng, shape[1])
        kind == 6 && return Array{Bool}(Random.bitrand(rng, shape...))
        return kind <= 3 ? rand(rng, ELEMENT_TYPES[kind], shape...) : randn(rng, ELEMENT_TYPES[kind], shape...)
    end
end

"The first `n` raw words of the dSFMT stream, n even and at least 382."
dsfmt_words(seed, n) = stream_words(Twister(seed), Int(n))

"Kinds 3 (raw words) and 6 (bitrand) on Xoroshiro128Star."
function xoroshiro_draws(seed, program)
    rng = Xoroshiro(seed)
    return run_program(program) do kind, shape
        kind == 6 && return reshape(draw_bits(rng, prod(shape)), shape)
        kind == 3 && return isempty(shape) ? next_word!(rng) : reshape(draw_words(rng, prod(shape)), shape)
        throw(ArgumentError("Xoroshiro128Star draws kinds 3 and 6, not $kind"))
    end
end

"The state (x, y) of Xoroshiro128Star right after seeding."
function xoroshiro_state(seed)
    rng = Xoroshiro(seed)
    return UInt64[rng.x, rng.y]
end
