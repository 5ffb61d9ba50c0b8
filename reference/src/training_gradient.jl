# Loss of a batch and its gradient, by a reverse pass written out by hand. Specification, section 6.

"Room for one batch's forward and reverse pass, to be used again in every epoch."
struct BatchTape{T}
    states::Array{T,3}         # (n_state, B, T+1); the first is the initial state
    activations::Array{T,3}    # (N, B, T)
    drive_adjoints::Array{T,3} # dL/dh, (N, B, T)
end

BatchTape{T}(n_state, N, B, steps) where {T} =
    BatchTape{T}(zeros(T, n_state, B, steps + 1), zeros(T, N, B, steps), zeros(T, N, B, steps))

"Gradients of ws, J and b from dL/dh (N, B, T): h = J a + ws s / S + b in every step of every trial."
function weight_gradients(drive_adjoints, activations, columns)
    flat(array) = reshape(array, size(array, 1), :)
    H_bar = flat(drive_adjoints)
    return (
        ws = H_bar * flat(columns)' ./ size(columns, 1),
        J = H_bar * flat(activations)',
        b = vec(sum(H_bar, dims = 2)),
    )
end

"One step back: x_bar = dL/dx_new becomes dL/dx, h_bar becomes dL/dh; a_bar is scratch space."
function step_adjoint!(net, x_bar, h_bar, a_bar, J, x, a)
    drive_adjoint!(net, h_bar, x_bar, a)
    mul!(a_bar, J', h_bar)
    return state_adjoint!(net, x_bar, h_bar, a_bar, x, a)
end

"""
    batch_gradient!(tape, net, p, columns, target, f)

Loss, accuracy, and the gradients of p = (ws, J, wr, b, offset, x0); inputs (S, B, T), target (T, 1, B); steps f..T
count.
"""
function batch_gradient!(tape::BatchTape, net, p, columns, target, f)
    N, (_, B, T) = length(p.b), size(columns)
    states, activations, drive_adjoints = tape.states, tape.activations, tape.drive_adjoints
    states[:, :, 1] = p.x0
    run_trajectory!(states, activations, net, p.J, drive(p.ws, p.b, columns))
    r = readout_columns(net, p.wr, p.offset, view(states, :, :, 2:T+1))
    loss, accuracy = loss_and_accuracy(r, target, f)

    first_step, terms = scored(f, T, B)
    r_bar = zero(r) # dL/dr, (B, T)
    for n in first_step:T, j in 1:B
        r_bar[j, n] = (logistic(r[j, n]) - target[n, 1, j]) / terms
    end
    wr_bar = zero(vec(p.wr))
    x_bar, a_bar = zero(p.x0), similar(p.x0, N, B)
    for n in T:-1:1
        if n >= first_step
            x_new = view(states, :, :, n + 1)
            mul!(wr_bar, seen(net, x_new), view(r_bar, :, n), true, true)
            seen(net, x_bar) .+= transpose(p.wr) .* transpose(view(r_bar, :, n))
        end
        @views step_adjoint!(
            net, x_bar, drive_adjoints[:, :, n], a_bar, p.J, states[:, :, n], activations[:, :, n])
    end
    weights = weight_gradients(drive_adjoints, activations, columns)
    gradients = (
        ws = weights.ws, J = weights.J, wr = reshape(wr_bar, 1, N), b = weights.b, offset = [sum(r_bar)], x0 = x_bar,
    )
    return loss, accuracy, gradients
end
