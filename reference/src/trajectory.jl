# States over a batch of trials, the initial state, readout, loss and accuracy. Specification, sections 3 to 5.

"Steps without input by which the initial state is prepared."
const RELAXATION_STEPS = 100

"Input s (T, S, B) in the order of computation, (S, B, T)."
input_columns(s) = permutedims(s, (2, 3, 1))

"What the units receive from outside, u_n = ws s_n / S + b, shape (N, B, T), from inputs (S, B, T)."
function drive(ws, b, columns)
    S, B, T = size(columns)
    return reshape(ws * reshape(columns, S, B * T) ./ S .+ b, length(b), B, T)
end

"x_new (n_state, B) from x under u (N, B); leaves the activation in a and its effect in h, both (N, B)."
function step!(net, x_new, x, a, h, J, u)
    activation!(net, a, x)
    copyto!(h, u)
    mul!(h, J, a, true, true)
    return advance!(net, x_new, x, a, h)
end

"""
Fill states (n_state, B, T+1), of which the first is the initial one, and activations (N, B, T), where activation n
leads from state n to state n + 1.
"""
function run_trajectory!(states, activations, net, J, u)
    h = similar(activations, size(activations, 1), size(activations, 2))
    for n in axes(activations, 3)
        @views step!(net, states[:, :, n+1], states[:, :, n], activations[:, :, n], h, J, u[:, :, n])
    end
    return states
end

"States (n_state, B, T+1) and activations (N, B, T) of trials that start from x0 (n_state, B)."
function states_from(net, ws, J, b, x0, columns)
    _, B, T = size(columns)
    states = similar(x0, size(x0, 1), B, T + 1)
    states[:, :, 1] = x0
    activations = similar(x0, length(b), B, T)
    run_trajectory!(states, activations, net, J, drive(ws, b, columns))
    return states, activations
end

"The state that starts from normal numbers (N, B), after 100 steps without input."
function relaxed(net, J, b, normals)
    N, B = size(normals)
    x = zeros(eltype(J), state_size(net, N), B)
    seen(net, x) .= normals
    a, h = similar(x, N, B), similar(x, N, B)
    u = repeat(b, 1, B)
    next = similar(x)
    for _ in 1:RELAXATION_STEPS
        step!(net, next, x, a, h, J, u)
        x, next = next, x
    end
    return x
end

"r_n = wr x_n + offset for states (n_state, B, T), shape (B, T)."
function readout_columns(net, wr, offset, states)
    r = similar(states, size(states, 2), size(states, 3))
    for n in axes(states, 3)
        mul!(view(r, :, n), transpose(seen(net, view(states, :, :, n))), vec(wr))
    end
    return r .+= offset[1]
end

"Binary cross entropy of the logit r and the target y, without overflow."
cross_entropy(r, y) = max(r, zero(r)) - r * y + log1p(exp(-abs(r)))

"First step that enters loss and accuracy, and the number of terms by which they are divided (as in the original)."
scored(f, T, B) = max(f, 1), B * (T - f + 1)

function loss_and_accuracy(r, target, f)
    B, T = size(r)
    first_step, terms = scored(f, T, B)
    y = view(target, :, 1, :)
    steps = first_step:T
    loss = sum(cross_entropy(r[j, n], y[n, j]) for n in steps for j in 1:B) / terms
    right = count((r[j, n] >= 0) == (y[n, j] > 0.5) for n in steps for j in 1:B)
    return loss, right / terms
end
