# The three networks. A batch of states is a matrix with a column for each trial.
#
# All three send an activation a (N, B) through J and receive h = J a + u, so the shared loops in trajectory.jl and
# gradients.jl do the products with J, and a network only says what happens before and after:
#
#   activation!(net, a, x)                      a from the old state
#   advance!(net, x_new, x, a, h)               the new state
#   drive_adjoint!(net, h_bar, x_bar, a)        dL/dh from dL/dx_new
#   state_adjoint!(net, x_bar, h_bar, a_bar, x, a)   dL/dx_new in x_bar is replaced by dL/dx; a_bar = J' h_bar
#
# and likewise for the action of the step's Jacobian D on directions Q, with P = J E:
#
#   sent!(net, E, Q, x)                         the directions as J sees them
#   received!(net, A, P, Q, x, x_new)           A = D Q
#   received_adjoint!(net, P_bar, x_bar, A_bar, P, x, x_new)   dL/dP; adds to dL/dx_new
#   sent_adjoint!(net, Q_bar, x_bar, E_bar, P_bar, A_bar, Q, x)   dL/dQ; adds to dL/dx

abstract type Network end

"x' = J tanh(x) + u; D = diag(1 - tanh(x')^2) J, at the new state. Source: the published Julia code."
struct TanhNetwork <: Network end

"x' = J sign(x) + u; D = diag(surrogate(x')) J, at the new state. Source: identified from the published figures."
struct BinaryNetwork{T} <: Network
    surrogate::Surrogate{T} # in the Jacobian
    sign_surrogate::Surrogate{T} # in the backward pass of the step
end

"""
Leaky integrate-and-fire units with synaptic currents; rows 1..N of the state are mem, rows N+1..2N are syn.

o = [mem > threshold]; syn' = alpha syn + u + J o; mem' = (beta mem + membrane_gain syn')(1 - o), where the factor
1 - o counts as a constant in the backward pass. The Jacobian is taken at the old state and ignores the reset; or, by an
option of ours, it has the factor 1 - o in its upper half.
Source: the published Python example; specification, section 3.
"""
struct SpikingNetwork{T} <: Network
    alpha::T
    beta::T
    membrane_gain::T
    threshold::T
    jacobian_surrogate::Surrogate{T}
    spike_surrogate::Surrogate{T}
    reset_factor::Bool # whether the Jacobian has the factor of the reset
end

const NETWORK_KINDS = ("tanh", "binary", "spiking")

"The published Python example's constants: steps of 1 ms, tau_syn = 5 ms, tau_mem = 10 ms."
const PUBLISHED = [exp(-1 / 5), exp(-1 / 10), 1 - exp(-1 / 10), 1.0, 5.0, 10.0]
"Ours: constants per step that learn short delayed XORs, found by experiment."
const PER_STEP = [0.0, 0.0, 1.0, 0.5, 1.0, 1.0]

"Surrogate and constants that `trainSRNNflossing` uses for a network of this kind."
default_constants(kind) =
    kind == "spiking" ? ("fast_sigmoid", PER_STEP) : ("sech2", kind == "binary" ? [1.0] : Float64[])

"""
    network_of(kind, surrogate, constants, T)

The network with numbers of type T. `constants` is empty for tanh, [gamma] or [gamma_jacobian, gamma_sign] for binary, and
[alpha, beta, membrane_gain, threshold, gamma_jacobian, gamma_spike] for spiking, or a seventh number after these: 1 for
a Jacobian with the factor of the reset, 0 for the published one.
"""
function network_of(kind, surrogate, constants, ::Type{T}) where {T}
    kind in NETWORK_KINDS ||
        throw(ArgumentError("kind = \"$kind\" is not allowed: it must be one of $(join(NETWORK_KINDS, ", "))"))
    needed = Dict("tanh" => (0,), "binary" => (1, 2), "spiking" => (6, 7))[kind]
    length(constants) in needed || throw(ArgumentError(
        "constants = $(collect(constants)) is not allowed: the $kind network takes $(join(needed, " or ")) numbers"))
    all(isfinite, constants) ||
        throw(ArgumentError("constants = $(collect(constants)) is not allowed: all must be finite"))
    kind == "tanh" && return TanhNetwork()
    values = map(T, constants)
    kind == "binary" && return BinaryNetwork(Surrogate(surrogate, values[1]), Surrogate(surrogate, values[end]))
    reset = length(constants) == 7 ? constants[7] : 0
    reset in (0, 1) ||
        throw(ArgumentError("constants = $(collect(constants)) is not allowed: the seventh must be 0 or 1"))
    surrogates = Surrogate(surrogate, values[5]), Surrogate(surrogate, values[6])
    return SpikingNetwork(values[1:4]..., surrogates..., reset == 1)
end

"Size of the state of N units."
state_size(::Network, N) = N
state_size(::SpikingNetwork, N) = 2N

"Number of exponents that can be finite: without synaptic decay the current has no memory of its own."
most_exponents(net::Network, N) = state_size(net, N)
most_exponents(net::SpikingNetwork, N) = net.alpha == 0 ? N : 2N

"The part of the state that the readout sees: all of it, or mem."
seen(::Network, x) = x
seen(::SpikingNetwork, x) = membrane(x)

membrane(x) = view(x, 1:size(x, 1) ÷ 2, :)
current(x) = view(x, size(x, 1) ÷ 2 + 1:size(x, 1), :)

# --- one step -------------------------------------------------------------------------------------------------

activation!(::TanhNetwork, a, x) = (a .= tanh.(x))
activation!(net::BinaryNetwork, a, x) = (a .= step_sign.(net.sign_surrogate, x))
activation!(net::SpikingNetwork, a, x) = (a .= step_spike.(net.spike_surrogate, membrane(x) .- net.threshold))

advance!(::Network, x_new, x, a, h) = copyto!(x_new, h)

"The factor of the reset, which derivatives pass over: see `constant_part` of a number type with derivatives."
kept(a) = 1 - constant_part(a)
constant_part(a::AbstractFloat) = a

function advance!(net::SpikingNetwork, x_new, x, a, h)
    current(x_new) .= net.alpha .* current(x) .+ h
    membrane(x_new) .= (net.beta .* membrane(x) .+ net.membrane_gain .* current(x_new)) .* kept.(a)
    return x_new
end

drive_adjoint!(::Network, h_bar, x_bar, a) = copyto!(h_bar, x_bar)
drive_adjoint!(net::SpikingNetwork, h_bar, x_bar, a) =
    (h_bar .= current(x_bar) .+ net.membrane_gain .* kept.(a) .* membrane(x_bar))

state_adjoint!(::TanhNetwork, x_bar, h_bar, a_bar, x, a) = (x_bar .= a_bar .* (1 .- a .^ 2))
state_adjoint!(net::BinaryNetwork, x_bar, h_bar, a_bar, x, a) = (x_bar .= a_bar .* derivative.(net.sign_surrogate, x))

function state_adjoint!(net::SpikingNetwork, x_bar, h_bar, a_bar, x, a)
    spiking = net.spike_surrogate
    membrane(x_bar) .= net.beta .* kept.(a) .* membrane(x_bar) .+
                       a_bar .* derivative.(spiking, membrane(x) .- net.threshold)
    current(x_bar) .= net.alpha .* h_bar
    return x_bar
end

# --- the Jacobian's action ------------------------------------------------------------------------------------

# The diagonal of D and its derivative; for the spiking network as functions of mem. sech^2 is 1 - tanh^2, because
# 1 / cosh^2 would overflow.
gain(::TanhNetwork, x) = 1 - tanh(x)^2
gain(net::BinaryNetwork, x) = derivative(net.surrogate, x)
gain(net::SpikingNetwork, mem) = derivative(net.jacobian_surrogate, mem - net.threshold)
gain_slope(::TanhNetwork, x) = -2 * tanh(x) * (1 - tanh(x)^2)
gain_slope(net::BinaryNetwork, x) = slope(net.surrogate, x)
gain_slope(net::SpikingNetwork, mem) = slope(net.jacobian_surrogate, mem - net.threshold)
Base.broadcastable(net::Network) = Ref(net)

# Not fused with the products that they enter: each is needed once per unit, not once per unit and direction.
gains(net, x) = map(v -> gain(net, v), x)

sent!(::Network, E, Q, x) = copyto!(E, Q)
function sent!(net::SpikingNetwork, E, Q, x)
    d = gains(net, membrane(x))
    return E .= d .* membrane(Q)
end

"What the membranes' rows of D have of the reset of the old state x: the factor 1 - o, a constant, or 1."
function jacobian_reset(net, x)
    net.reset_factor || return ones(eltype(x), size(x, 1) ÷ 2, 1)
    return kept.(step_spike.(net.spike_surrogate, membrane(x) .- net.threshold))
end

function received!(net::Network, A, P, Q, x, x_new)
    d = gains(net, x_new)
    return A .= d .* P
end

function received!(net::SpikingNetwork, A, P, Q, x, x_new)
    current(A) .= P .+ net.alpha .* current(Q)
    membrane(A) .= (net.beta .* membrane(Q) .+ net.membrane_gain .* current(A)) .* jacobian_reset(net, x)
    return A
end

function received_adjoint!(net::Network, P_bar, x_bar, A_bar, P, x, x_new)
    d = gains(net, x_new)
    x_bar .+= gain_slope.(net, x_new) .* row_products(A_bar, P)
    return P_bar .= d .* A_bar
end

received_adjoint!(net::SpikingNetwork, P_bar, x_bar, A_bar, P, x, x_new) =
    (P_bar .= current(A_bar) .+ net.membrane_gain .* jacobian_reset(net, x) .* membrane(A_bar))

sent_adjoint!(::Network, Q_bar, x_bar, E_bar, P_bar, A_bar, Q, x) = copyto!(Q_bar, E_bar)

function sent_adjoint!(net::SpikingNetwork, Q_bar, x_bar, E_bar, P_bar, A_bar, Q, x)
    mem = membrane(x)
    d = gains(net, mem)
    membrane(x_bar) .+= gain_slope.(net, mem) .* row_products(E_bar, membrane(Q))
    membrane(Q_bar) .= net.beta .* jacobian_reset(net, x) .* membrane(A_bar) .+ d .* E_bar
    current(Q_bar) .= net.alpha .* P_bar
    return Q_bar
end

"The scalar products of the rows of A with those of B, as a column."
function row_products(A, B)
    products = zeros(eltype(A), size(A, 1), 1)
    for j in axes(A, 2)
        @views products[:, 1] .+= A[:, j] .* B[:, j]
    end
    return products
end
