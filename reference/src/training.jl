# A whole run: initialisation, the schedule of flossing and training, and the record of both. Specification, section 10.

const ALL_NAMES = (:ws, :J, :wr, :b, :offset, :x0)
const FLOSSED_NAMES = (:ws, :J, :b)

"Weights and relaxed initial state of the parameters p, with numbers of type T."
function initial_parameters(net, p, ::Type{T}) where {T}
    weights = map(array -> T.(array), initial_weights(
        p.N, p.S, p.sNet, p.IC, p.g, p.gbar, p.wsS, p.wsM, p.wrS, p.wrM, p.bS, p.bM))
    return merge(weights, (x0 = initial_columns(net, weights.J, weights.b, p.sIC, p.B),))
end

"The relaxed initial state (n_state, B) of the seed sIC."
function initial_columns(net, J, b, sIC, B)
    normals = reshape(draw_normal(Twister(sIC), Float32, length(b) * B), length(b), B)
    return relaxed(net, J, b, normals)
end

"One batch, its trials in the order of the epoch's shuffle: input (S, B, T), target (T, 1, B), order."
function epoch_data(p, epoch, ::Type{T}) where {T}
    s, target = generateInputOutput(p.B, p.T, input_seed(p, epoch), p.S, p.I1, p.delay, p.task)
    order = shuffled(Twister(epoch), 1:p.B)
    return input_columns(T.(s[:, :, order])), T.(target[:, :, order]), order
end

"The gradients by the reverse passes of this program, with tapes of their own."
function own_gradients(net, p, n_state, ::Type{T}) where {T}
    batch = BatchTape{T}(n_state, p.N, p.B, p.T)
    frame = FrameTape{T}(n_state, p.N, p.nLE, p.nLE == 0 ? 0 : p.Tp)
    function training(q, columns, target, f)
        loss, accuracy, gradients = batch_gradient!(batch, net, q, columns, target, f)
        isfinite(loss) || throw(non_finite_loss(batch.states))
        return loss, accuracy, gradients
    end
    flossing(ws, J, b, x, Q, columns, Lwnt) = frame_gradient!(frame, net, ws, J, b, x, Q, columns, Lwnt)
    return training, flossing
end

"Run the function, and give a NonFiniteError that it throws its place in the run."
function at_place(f, epoch, flossing_epoch = 0)
    try
        return f()
    catch error
        error isa NonFiniteError || rethrow()
        throw(located(error, epoch, flossing_epoch))
    end
end

"""
    run_training(kind, surrogate, constants, T, values; report, use_zygote)

Train a network with numbers of type T under the 33 values; the result is described at `train_network`.
`report(epoch, loss, accuracy, exponents)` is called after every training epoch.
"""
function run_training(
    kind, surrogate, constants, ::Type{T}, values; report = (_...) -> nothing, use_zygote = false
) where {T}
    net = network_of(kind, surrogate, constants, T)
    p = checked_parameters(values, net)
    n_state = state_size(net, p.N)
    training, flossing = use_zygote ? zygote_gradients(net) : own_gradients(net, p, n_state, T)
    return run_schedule(net, p, training, flossing, n_state, report, T)
end

function run_schedule(net, p, training, flossing, n_state, report, ::Type{T}) where {T}
    parameters = initial_parameters(net, p, T)
    initial = deepcopy(parameters)
    rates = Rates(p.lr, Float64(p.b1), Float64(p.b2))
    training_memory = map(x -> AdamMemory(x, rates), parameters)
    flossing_memory = map(x -> AdamMemory(x, rates), NamedTuple{FLOSSED_NAMES}(parameters))
    frame = initial_frame(n_state, p.nLE, p.sONS, parameters.J).Q
    f = first_scored_step(p.task, p.delay)

    losses, accuracies = zeros(p.E), zeros(p.E)
    norms = NamedTuple{ALL_NAMES}(ntuple(_ -> zeros(p.E), length(ALL_NAMES)))
    orders = zeros(Int64, p.E, p.B)
    spectra, flossing_losses, flossing_epochs = Vector{Float64}[], Float64[], Vector{Int64}[]

    for (epoch, episode) in enumerate(episode_lengths(p.E, p.Ef, p.Ei, p.Ep, p.Ni))
        for i in 1:(p.nLE == 0 ? 0 : episode)
            s, _ = generateInputOutput(1, p.Ti, input_seed(p, epoch + i), p.S, p.I1, p.delay, p.task)
            exponents, loss, gradients = at_place(epoch, i) do
                exponents, loss, gradients = flossing(parameters.ws, parameters.J, parameters.b, parameters.x0[:, 1],
                    frame, trial_columns(T.(s), p.Tp), p.Lwnt)
                return exponents, loss, require_finite_gradients(gradients)
            end
            for name in FLOSSED_NAMES
                update!(parameters[name], gradients[name], flossing_memory[name], rates)
            end
            push!(spectra, exponents)
            push!(flossing_losses, loss)
            push!(flossing_epochs, [epoch, i])
        end
        columns, target, order = epoch_data(p, epoch, T)
        loss, accuracy, gradients = at_place(epoch) do
            loss, accuracy, gradients = training(parameters, columns, target, f)
            return loss, accuracy, require_finite_gradients(gradients)
        end
        for name in ALL_NAMES
            gradient = Float64.(gradients[name]) # the original's training gradients are Float64
            norms[name][epoch] = norm(gradient)
            update!(parameters[name], clipped(gradient, CLIP_NORM), training_memory[name], rates)
        end
        losses[epoch], accuracies[epoch], orders[epoch, :] = loss, accuracy, order
        report(epoch, loss, accuracy, isempty(spectra) ? nothing : spectra[end])
    end

    rows(vectors, width) = [vectors[i][j] for i in eachindex(vectors), j in 1:width]
    renamed(prefix, arrays) = NamedTuple{map(name -> Symbol(prefix, name), ALL_NAMES)}(Tuple(arrays))
    return merge(
        (
            loss = losses, accuracy = accuracies, spectra = rows(spectra, p.nLE), flossing_loss = flossing_losses,
            flossing_epochs = rows(flossing_epochs, 2), trial_order = orders,
        ),
        renamed("norm_", norms), renamed("initial_", initial), renamed("final_", parameters),
    )
end
