# The 33 parameters of the original's call, checked before any work.

const PARAMETER_NAMES = (
    :N, :E, :Ef, :Ei, :Ep, :Ni, :B, :S, :T, :Tp, :Ti, :sIC, :sIn, :sNet, :sONS, :lr, :b1, :b2, :IC, :g, :gbar, :I1,
    :delay, :wsS, :wsM, :wrS, :wrM, :bS, :bM, :nLE, :task, :intype, :Lwnt,
)
const LEAST = (
    N = 1, E = 0, Ef = 1, Ei = 0, Ep = 0, Ni = 0, B = 1, S = 1, T = 1, Tp = 1, Ti = 1, sIC = 0, sIn = typemin(Int64),
    sNet = 0, sONS = 0, IC = 1, delay = 0, nLE = 0, task = -62,
)
const REAL_NUMBERS = (:lr, :b1, :b2, :g, :gbar, :I1, :wsS, :wsM, :wrS, :wrM, :bS, :bM, :Lwnt)

shown(value) = value
shown(value::AbstractString) = repr(value)

refuse(name, value, allowed) = throw(ArgumentError("$name = $(shown(value)) is not allowed: it must be $allowed"))

"The 33 values as a NamedTuple of Int64 and Float64; an ArgumentError names the first that is not allowed."
function checked_parameters(values, net)
    length(values) == 33 || throw(ArgumentError("$(length(values)) parameters are not allowed: there must be 33"))
    given = Dict{Symbol,Any}(zip(PARAMETER_NAMES, values))
    for (name, least) in pairs(LEAST)
        value = given[name]
        value isa Integer && !(value isa Bool) && least <= value <= typemax(Int64) ||
            refuse(name, value, least == typemin(Int64) ? "a 64-bit integer" : "an integer >= $least")
        given[name] = Int64(value)
    end
    for name in REAL_NUMBERS
        value = given[name]
        value isa Real && !(value isa Bool) && isfinite(value) && isfinite(Float32(value)) ||
            refuse(name, value, "a finite real number")
        given[name] = Float64(value)
    end
    given[:intype] = 0 # unused, so anything is allowed
    p = NamedTuple{PARAMETER_NAMES}(Tuple(given[name] for name in PARAMETER_NAMES))
    check_together(p, net)
    return p
end

"Refuse numbers outside their ranges, and those that do not fit together."
function check_together(p, net)
    0 <= p.b1 < 1 || refuse(:b1, p.b1, "in [0, 1)")
    0 <= p.b2 < 1 || refuse(:b2, p.b2, "in [0, 1)")
    p.S == 1 || refuse(:S, p.S, "1, since the target has one channel")
    p.IC in (1, 3) || refuse(:IC, p.IC, "1 (Gaussian) or 3 (orthogonal)")
    p.task <= 62 || refuse(:task, p.task, "an integer from -62 to 62")
    p.task == 0 || p.delay >= 1 || refuse(:delay, p.delay, "at least 1 for an XOR task")
    p.sIn == 0 && refuse(:sIn, p.sIn, "any 64-bit integer but 0")
    limit = most_exponents(net, p.N)
    p.nLE <= limit || refuse(:nLE, p.nLE, "at most $limit, the number of exponents that are not always -Inf")
    p.Ti >= p.Tp || refuse(:Ti, p.Ti, "at least Tp = $(p.Tp)")
    first_step = big(p.delay) * (p.task > 0 ? 2 : big(2)^abs(p.task))
    p.T > first_step || refuse(:T, p.T, "more than $first_step, the first step that counts for this task and delay")
    check_flossing(p)
    return nothing
end

function check_flossing(p)
    lengths = p.nLE == 0 ? zeros(Int, p.E) : episode_lengths(p.E, p.Ef, p.Ei, p.Ep, p.Ni)
    any(lengths .> 0) && check_counted_steps(p.Tp)
    for epoch in 1:p.E
        seeds = (big(p.E) * p.sIn + epoch) .+ (0:lengths[epoch])
        0 in seeds &&
            refuse(:sIn, p.sIn, "such that no input seed E sIn + e (+ i) is 0, as it would be in epoch $epoch")
        typemin(Int64) <= first(seeds) && last(seeds) <= typemax(Int64) ||
            refuse(:sIn, p.sIn, "such that every input seed E sIn + e (+ i) is a 64-bit integer")
    end
end

"First step that counts in loss and accuracy."
first_scored_step(task, delay) = task > 0 ? 2delay : delay * 2^abs(task)

"""
Flossing epochs right before each training epoch 1..E: Ep before the first, then Ei at every multiple of Ef until Ni
episodes have run.
"""
function episode_lengths(E, Ef, Ei, Ep, Ni)
    lengths = zeros(Int, E)
    episodes = 0
    for epoch in 1:E
        if epoch == 1
            lengths[1] = Ep
        elseif epoch % Ef == 0 && episodes < Ni
            lengths[epoch] = Ei
            episodes += 1
        end
    end
    return lengths
end

"Input seed of training epoch e; flossing epoch i before it has that of e + i."
input_seed(p, epoch) = p.E * p.sIn + epoch
