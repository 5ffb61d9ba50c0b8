# The same gradients by Zygote, with BackwardsLinalg for the QR, as in the published tanh code: loss functions without
# mutation and an adjoint for each function that has a derivative of its own. Loaded by zygote.jl where both packages
# are installed; the reference's tests do not need them.
module ZygoteGradients

import BackwardsLinalg
import Zygote
using LinearAlgebra: diag
using ..GradientFlossing: Network, TanhNetwork, BinaryNetwork, SpikingNetwork, NonFiniteError, cross_entropy,
    derivative, logistic, loss_and_accuracy, non_finite_loss, readout_columns, scored, slope, states_from, step_sign,
    step_spike, transient_steps

# Adjoints of whole arrays: newer Zygotes differentiate broadcasts in forward mode, past a scalar's adjoint.

signs(s, x) = step_sign.(s, x)
Zygote.@adjoint signs(s, x) = signs(s, x), bar -> (nothing, bar .* derivative.(s, x))

spikes(s, v) = step_spike.(s, v)
Zygote.@adjoint spikes(s, v) = spikes(s, v), bar -> (nothing, bar .* derivative.(s, v))

surrogate(s, v) = derivative.(s, v)
Zygote.@adjoint surrogate(s, v) = surrogate(s, v), bar -> (nothing, bar .* slope.(s, v))

entropy(r, y) = sum(cross_entropy.(r, y))
Zygote.@adjoint entropy(r, y) = entropy(r, y), bar -> (bar .* (logistic.(r) .- y), nothing)

constant(a) = a
Zygote.@adjoint constant(a) = a, _ -> (nothing,)

upper(x) = x[1:size(x, 1)÷2, :]
lower(x) = x[size(x, 1)÷2+1:end, :]
seen_part(::Network, x) = x
seen_part(::SpikingNetwork, x) = upper(x)

after_step(::TanhNetwork, x, u, J) = J * tanh.(x) .+ u
after_step(net::BinaryNetwork, x, u, J) = J * signs(net.sign_surrogate, x) .+ u

function after_step(net::SpikingNetwork, x, u, J)
    o = spikes(net.spike_surrogate, upper(x) .- net.threshold)
    syn = net.alpha .* lower(x) .+ u .+ J * o
    mem = (net.beta .* upper(x) .+ net.membrane_gain .* syn) .* (1 .- constant(o))
    return vcat(mem, syn)
end

pushed(::TanhNetwork, x, x_new, J, Q) = (1 .- tanh.(x_new) .^ 2) .* (J * Q)
pushed(net::BinaryNetwork, x, x_new, J, Q) = surrogate(net.surrogate, x_new) .* (J * Q)

function pushed(net::SpikingNetwork, x, x_new, J, Q)
    d = surrogate(net.jacobian_surrogate, upper(x) .- net.threshold)
    syn = J * (d .* upper(Q)) .+ net.alpha .* lower(Q)
    mem = net.beta .* upper(Q) .+ net.membrane_gain .* syn
    if net.reset_factor
        o = spikes(net.spike_surrogate, upper(x) .- net.threshold)
        mem = mem .* (1 .- constant(o))
    end
    return vcat(mem, syn)
end

input(ws, b, columns, n) = ws * columns[:, :, n] ./ size(ws, 2) .+ b

function batch_loss(net, ws, J, wr, b, offset, x, columns, target, f)
    first_step, terms = scored(f, size(columns, 3), size(columns, 2))
    loss = zero(eltype(J))
    for n in 1:size(columns, 3)
        x = after_step(net, x, input(ws, b, columns, n), J)
        if n >= first_step
            r = wr * seen_part(net, x) .+ offset
            loss += entropy(r, target[n, :, :])
        end
    end
    return loss / terms
end

function exponents_along(net, ws, J, b, x, Q, columns)
    steps = size(columns, 3)
    total = zeros(eltype(J), size(Q, 2))
    for n in 1:steps
        x_new = after_step(net, x, input(ws, b, columns, n), J)
        Q, R = BackwardsLinalg.qr(pushed(net, x, x_new, J, Q))
        if n > transient_steps(steps)
            total = total .+ log.(abs.(diag(R)))
        end
        x = x_new
    end
    return total ./ (steps - transient_steps(steps))
end

"Loss, accuracy and gradients of p, like `batch_gradient!`."
function training_gradient(net, p, columns, target, f)
    loss, back = Zygote.pullback(p.ws, p.J, p.wr, p.b, p.offset, p.x0) do ws, J, wr, b, offset, x0
        batch_loss(net, ws, J, wr, b, offset, x0, columns, target, f)
    end
    states, _ = states_from(net, p.ws, p.J, p.b, p.x0, columns)
    isfinite(loss) || throw(non_finite_loss(states))
    _, accuracy = loss_and_accuracy(readout_columns(net, p.wr, p.offset, states[:, :, 2:end]), target, f)
    return loss, accuracy, NamedTuple{(:ws, :J, :wr, :b, :offset, :x0)}(back(one(loss)))
end

"Exponents, flossing loss and gradients of ws, J and b, like `frame_gradient!`."
function flossing_gradient(net, ws, J, b, x, Q, columns, Lwnt)
    start, wanted = reshape(x, :, 1), eltype(J)(Lwnt)
    exponents, back = Zygote.pullback(ws, J, b) do ws, J, b
        exponents_along(net, ws, J, b, start, Q, columns)
    end
    all(isfinite, exponents) || throw(NonFiniteError("exponent"))
    loss = sum(abs2, exponents .- wanted) / length(exponents)
    return exponents, loss, NamedTuple{(:ws, :J, :b)}(back(2 .* (exponents .- wanted) ./ length(exponents)))
end

end
