# What another program can call: plain numbers, strings and arrays in, the same out. The arrays' element type (Float32
# or Float64) is that of the computation. A network is given by kind, surrogate and constants; see `network_of`.

"Inputs (T, S, B) or, for one trial, (T, S)."
batch_columns(s) = input_columns(reshape(s, size(s, 1), size(s, 2), size(s, 3)))

"Refuse an array that has not the given size."
function check_size(name, array, allowed...)
    size(array) == allowed || refuse("size of $name", size(array), join(allowed, " x "))
    return nothing
end

function check_weights(net, ws, J, b, x)
    N = length(b)
    check_size("J", J, N, N)
    check_size("ws", ws, N, size(ws, 2))
    size(x, 1) == state_size(net, N) || refuse("size of the state", size(x, 1), state_size(net, N))
    return nothing
end

function check_batch(ws, s, B)
    size(s, 2) == size(ws, 2) || refuse("number of input channels", size(s, 2), size(ws, 2))
    size(s, 3) == B || refuse("number of trials", size(s, 3), B)
    return nothing
end

"The state (n_state, B) after one step from x under u (N, B)."
function network_step(kind, surrogate, constants, J, x, u)
    net = network_of(kind, surrogate, constants, eltype(J))
    return step!(net, similar(x), x, similar(u), similar(u), J, u)
end

"D Q for the step from the vector x_old to the vector x_new and directions Q (n_state, k)."
function network_jacobian(kind, surrogate, constants, J, x_old, x_new, Q)
    net = network_of(kind, surrogate, constants, eltype(J))
    E, P = similar(Q, size(J, 1), size(Q, 2)), similar(Q, size(J, 1), size(Q, 2))
    column(x) = reshape(x, :, 1)
    return push_frame!(net, similar(Q), E, P, J, Q, column(x_old), column(x_new))
end

"The relaxed initial state (n_state, B) of the seed sIC."
initial_state(kind, surrogate, constants, J, b, sIC, B) =
    initial_columns(network_of(kind, surrogate, constants, eltype(J)), J, b, sIC, B)

"The states (n_state, B, T) after each step from x0 (n_state, B) with inputs s (T, S, B)."
function trajectory(kind, surrogate, constants, ws, J, b, x0, s)
    net = network_of(kind, surrogate, constants, eltype(J))
    check_weights(net, ws, J, b, x0)
    check_batch(ws, s, size(x0, 2))
    states, _ = states_from(net, ws, J, b, x0, batch_columns(s))
    return states[:, :, 2:end]
end

"The readout (T, B) of states whose first N rows it sees, (>= N, B, T)."
readout(wr, offset, states) =
    permutedims(readout_columns(TanhNetwork(), wr, offset, view(states, 1:length(wr), :, :)))

"Loss and accuracy over the steps f..T."
function training_loss(kind, surrogate, constants, ws, J, wr, b, offset, x0, s, target, f)
    net = network_of(kind, surrogate, constants, eltype(J))
    check_weights(net, ws, J, b, x0)
    check_batch(ws, s, size(x0, 2))
    states, _ = states_from(net, ws, J, b, x0, batch_columns(s))
    r = readout_columns(net, wr, offset, view(states, :, :, 2:size(states, 3)))
    loss, accuracy = loss_and_accuracy(r, target, f)
    isfinite(loss) || throw(non_finite_loss(states))
    return (loss = loss, accuracy = accuracy)
end

"Loss, accuracy, and the loss gradients of ws, J, wr, b, offset and x0, before clipping."
function training_gradient(kind, surrogate, constants, ws, J, wr, b, offset, x0, s, target, f)
    net = network_of(kind, surrogate, constants, eltype(J))
    check_weights(net, ws, J, b, x0)
    check_batch(ws, s, size(x0, 2))
    tape = BatchTape{eltype(J)}(size(x0, 1), length(b), size(s, 3), size(s, 1))
    p = (ws = ws, J = J, wr = wr, b = b, offset = offset, x0 = x0)
    loss, accuracy, gradients = batch_gradient!(tape, net, p, batch_columns(s), target, f)
    isfinite(loss) || throw(non_finite_loss(tape.states))
    return merge((loss = loss, accuracy = accuracy), require_finite_gradients(gradients))
end

"""
The Lyapunov exponents (1/step) of Tp steps of one trial, s (>= Tp, S), from the state x (a vector) and the frame Q
(n_state, k). A direction that collapses has -Inf; a NaN is a NonFiniteError.
"""
function spectrum(kind, surrogate, constants, ws, J, b, x, Q, s, Tp)
    net = network_of(kind, surrogate, constants, eltype(J))
    check_weights(net, ws, J, b, x)
    check_counted_steps(Tp)
    states, _ = states_from(net, ws, J, b, reshape(x, :, 1), trial_columns(s, Tp))
    exponents = exponents_of(local_exponents(net, J, states, Q))
    all(value -> isfinite(value) || value == -Inf, exponents) || throw(NonFiniteError("exponent"))
    return exponents
end

"Exponents, flossing loss (their mean squared distance from Lwnt), and its gradients of ws, J and b."
function flossing_gradient(kind, surrogate, constants, ws, J, b, x, Q, s, Tp, Lwnt)
    net = network_of(kind, surrogate, constants, eltype(J))
    check_weights(net, ws, J, b, x)
    check_counted_steps(Tp)
    tape = FrameTape{eltype(J)}(length(x), length(b), size(Q, 2), Int(Tp))
    exponents, loss, gradients = frame_gradient!(tape, net, ws, J, b, x, Q, trial_columns(s, Tp), Lwnt)
    return merge((exponents = exponents, loss = loss), require_finite_gradients(gradients))
end

"""
Update number t (from 1) of x by Adam with the moments m and v, after clipping the gradient G to the norm `clip`: the
original's is Float64(0.03f0) in training and Inf (not at all) in flossing.
"""
function adam_update(x, G, m, v, t, lr, b1, b2, clip)
    rates = Rates(lr, b1, b2)
    # running products, as the original keeps them: their last bits differ from those of a power
    power(rate) = foldl((product, _) -> product * rate, 2:t; init = rate)
    memory = AdamMemory(copy(m), copy(v), power(rates.b1), power(rates.b2))
    updated = update!(copy(x), clipped(G, clip), memory, rates)
    return (x = updated, m = memory.m, v = memory.v)
end

"""
    train_network(kind, surrogate, constants, eltype_name, N, E, ..., Lwnt)

A whole run under the original's 33 parameters, in "Float32" or "Float64". With n flossing epochs in all, the result has
loss, accuracy (E); spectra (n, nLE); flossing_loss (n); flossing_epochs (n, 2: training epoch, flossing epoch);
trial_order (E, B); norm_* (E), the gradients' norms before clipping; initial_* and final_*, the parameters.
"""
function train_network(kind, surrogate, constants, eltype_name, values...)
    types = Dict("Float32" => Float32, "Float64" => Float64)
    haskey(types, eltype_name) || refuse("eltype_name", eltype_name, "\"Float32\" or \"Float64\"")
    return run_training(kind, surrogate, constants, types[eltype_name], values)
end
