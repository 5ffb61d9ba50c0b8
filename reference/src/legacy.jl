# The original's names and 33 positional parameters. Specification, section 13.

"A function that prints about twenty lines in a run of E epochs."
function progress_lines(E)
    rounded(x, digits) = round(x; digits = digits)
    return function (epoch, loss, accuracy, exponents)
        epoch == 1 || epoch % max(1, E ÷ 20) == 0 || epoch == E || return
        flossed = exponents === nothing ? "" : "  first exponent $(rounded(exponents[1], 4))"
        println("epoch $epoch/$E  loss $(rounded(loss, 4))  accuracy $(rounded(accuracy, 3))", flossed)
        flush(stdout)
    end
end

"A network as the keyword `network` names it: its kind, surrogate and constants."
function network_choice(network)
    network isa AbstractString && network in NETWORK_KINDS && return (network, default_constants(network)...)
    network isa Tuple{AbstractString,Any,Any} && network[1] in NETWORK_KINDS && return network
    return refuse("network", network, "one of $(join(NETWORK_KINDS, ", ")), or a tuple (kind, surrogate, constants)")
end

"""
    trainSRNNflossing(N, E, Ef, Ei, Ep, Ni, B, S, T, Tp, Ti, sIC, sIn, sNet, sONS, lr, b1, b2, IC, g, gbar, I1,
                      delay, wsS, wsM, wrS, wrM, bS, bM, nLE, task, intype, Lwnt;
                      network = "spiking", eltype = Float32, progress = true, use_zygote = false)

Train a spiking network with surrogate gradient flossing. The authors' function of this name was never published; this
is their published algorithm with their published spiking network in the place of the tanh network.

N units · E training epochs · Ef period of inter-episodes · Ei flossing epochs in each · Ep flossing epochs before
training · Ni number of inter-episodes · B trials · S input channels (1) · T steps of a trial · Tp steps of the
spectrum · Ti steps of a flossing trial · sIC, sIn, sNet, sONS seeds of initial state, input, network and frame · lr,
b1, b2 Adam · IC coupling (1 Gaussian, 3 orthogonal) · g gain · gbar mean coupling · I1 input amplitude · delay in
steps · wsS, wsM, wrS, wrM, bS, bM spread and mean of input weights, readout and bias · nLE exponents to floss · task
(0 copy, ±h the XOR of 2^h inputs) · intype (unused) · Lwnt target of the exponents, 1/step.

`network` is "spiking" (time constants in steps, ours), "binary", "tanh", or a tuple (kind, surrogate, constants).
The result is that of `train_network`. An ArgumentError names a parameter that is not allowed, before any work; a
NonFiniteError names epoch, step and quantity.
"""
function trainSRNNflossing(
    N, E, Ef, Ei, Ep, Ni, B, S, T, Tp, Ti, sIC, sIn, sNet, sONS, lr, b1, b2, IC, g, gbar, I1, delay,
    wsS, wsM, wrS, wrM, bS, bM, nLE, task, intype, Lwnt;
    network = "spiking", eltype = Float32, progress = true, use_zygote = false,
)
    kind, surrogate, constants = network_choice(network)
    eltype in (Float32, Float64) || refuse("eltype", eltype, "Float32 or Float64")
    values = (
        N, E, Ef, Ei, Ep, Ni, B, S, T, Tp, Ti, sIC, sIn, sNet, sONS, lr, b1, b2, IC, g, gbar, I1, delay,
        wsS, wsM, wrS, wrM, bS, bM, nLE, task, intype, Lwnt,
    )
    report = progress ? progress_lines(E) : (_...) -> nothing
    return run_training(kind, surrogate, constants, eltype, values; report = report, use_zygote = use_zygote)
end

"Train a tanh network with gradient flossing, as the authors' published function; see `trainSRNNflossing`."
trainRNNflossing(values...; options...) = trainSRNNflossing(values...; network = "tanh", options...)

# The names that only a result of `train_network` has. At a prompt it is told in a few lines instead of thousands of
# numbers; its fields are there as ever.
const RESULT_NAMES = (
    :loss, :accuracy, :spectra, :flossing_loss, :flossing_epochs, :trial_order,
    map(name -> Symbol("norm_", name), ALL_NAMES)..., map(name -> Symbol("initial_", name), ALL_NAMES)...,
    map(name -> Symbol("final_", name), ALL_NAMES)...,
)

function Base.show(io::IO, ::MIME"text/plain", result::NamedTuple{RESULT_NAMES})
    rounded(x) = round(x; sigdigits = 4)
    change(values) = "$(rounded(first(values))) -> $(rounded(last(values)))"
    E, (F, k) = length(result.loss), size(result.spectra)
    print(io, "training of ", length(result.final_b), " units: ", E, " epochs")
    E > 0 && print(io, ", loss ", change(result.loss), ", accuracy ", change(result.accuracy))
    print(io, "\n", F, " flossing epochs of ", k, " exponents")
    F > 0 && k > 0 && print(io, ", the first ", change(result.spectra[:, 1]), " per step")
    print(io, "\nfields: loss, accuracy, spectra, flossing_loss, flossing_epochs, trial_order, and of ",
        join(ALL_NAMES, ", "), ": norm_*, initial_*, final_*")
end
