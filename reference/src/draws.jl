# Programs of draws, so that any interleaving of calls can be compared with another implementation.
#
# A program is an integer matrix with a row for each draw: kind, number of dimensions (0: a scalar), and up to
# three dimensions. Kinds: 1 rand Float64, 2 rand Float32, 3 rand UInt64, 4 randn Float64, 5 randn Float32,
# 6 bitrand, 7 randperm(d1), 8 shuffle(1:d1).

const ELEMENT_TYPES = (Float64, Float32, UInt64, Float64, Float32)

shape_of(row) = Tuple(Int.(row[3:2+row[2]]))

# A vector, because a tuple would be compiled anew for each combination of types.
run_program(draw, program::AbstractMatrix) = Any[draw(Int(row[1]), shape_of(row)) for row in eachrow(program)]

"The results of a program of draws after seeding our Twister with `seed`."
twister_draws(seed, program) = Tuple(twister_results(seed, program))

function twister_results(seed, program)
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

"""
Kinds of draws for which this Julia's own MersenneTwister still gives the numbers of Julia 1.5, in any order of calls:
found by comparing random programs of draws, once in a session.
"""
function native_twister_kinds()
    VERSION < v"1.6" && return collect(1:8) # all, so that a difference is reported and not left out
    isempty(KNOWN_KINDS) && append!(KNOWN_KINDS, agreeing_kinds(native_twister_results))
    return copy(KNOWN_KINDS)
end

const KNOWN_KINDS = Int[]

"The kinds that `results(seed, program)` and our Twister draw alike, alone and mixed with each other."
function agreeing_kinds(results; trials = 40)
    agree(kinds) = all(trial -> agrees_on(results, trial, kinds), 1:trials)
    kept = Int[]
    # Those that the newest Julia still draws as Julia 1.5 did come first, so that no other kind keeps them out.
    for kind in (1, 2, 5, 4, 7, 8, 6, 3)
        agree([kind]) && agree([kept; kind]) && push!(kept, kind)
    end
    return sort!(kept)
end

function agrees_on(results, trial, kinds)
    program = random_program(trial, kinds)
    try
        return isequal(results(trial, program), twister_results(trial, program))
    catch # what that Julia needs for its draws may be gone as well
        return false
    end
end

"A program of ten draws of the given kinds, with lengths on both sides of the edges of the caches."
function random_program(seed, kinds)
    rng = Twister(seed)
    below(n) = Int(draw_uniform(rng, UInt64) % UInt64(n))
    program = zeros(Int64, 10, 5)
    for row in eachrow(program)
        row[1] = kinds[1+below(length(kinds))]
        row[2] = row[1] >= 7 ? 1 : row[1] == 6 ? 1 + below(3) : below(4)
        for d in 1:row[2]
            row[2+d] = row[2] == 1 ? below((20, 400, 2100)[1+below(3)]) : below(13)
        end
    end
    return program
end

"The same program on the standard library's MersenneTwister, seeded the old way."
native_twister_draws(seed, program) = Tuple(native_twister_results(seed, program))

function native_twister_results(seed, program)
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
    return Tuple(run_program(program) do kind, shape
        kind == 6 && return reshape(draw_bits(rng, prod(shape)), shape)
        kind == 3 && return isempty(shape) ? next_word!(rng) : reshape(draw_words(rng, prod(shape)), shape)
        throw(ArgumentError("Xoroshiro128Star draws kinds 3 and 6, not $kind"))
    end)
end

"The state (x, y) of Xoroshiro128Star right after seeding."
function xoroshiro_state(seed)
    rng = Xoroshiro(seed)
    return UInt64[rng.x, rng.y]
end
