const SMALL = (
    N = 12, E = 6, Ef = 2, Ei = 3, Ep = 2, Ni = 2, B = 4, S = 1, T = 30, Tp = 20, Ti = 25, sIC = 1, sIn = 2, sNet = 3,
    sONS = 4, lr = 0.001, b1 = 0.9, b2 = 0.999, IC = 1, g = 1.0, gbar = 0.0, I1 = 1.0, delay = 2, wsS = 1.0, wsM = 0.0,
    wrS = 1.0, wrM = 0.0, bS = 0.1, bM = 0.0, nLE = 5, task = -1, intype = 3, Lwnt = 0.0,
)
trained(; network = "tanh", eltype = Float32, changes...) =
    trainSRNNflossing(values(merge(SMALL, values(changes)))...; network = network, eltype = eltype, progress = false)

@testset "Adam" begin
    x, m, v = Float32[1, -2, 3], zeros(Float32, 3), zeros(Float32, 3)
    G = [0.3, -0.2, 0.01]
    lr = Float64(0.001f0)
    for t in 1:3
        new = adam_update(x, G, m, v, t, 0.001, 0.9, 0.999, 0.03)
        clipped = G .* (0.03 / norm(G))
        @test new.m == Float32.(0.9 .* m .+ (1 - 0.9) .* clipped)
        @test new.v == Float32.(0.999 .* v .+ (1 - 0.999) .* clipped .^ 2)
        step = new.m ./ (1 - 0.9^t) ./ (sqrt.(new.v ./ (1 - 0.999^t)) .+ 1e-8) .* lr
        @test maximum(abs, new.x .- (x .- step)) <= eps(3f0)
        x, m, v = new
    end
    @test m != zeros(3)
    free = adam_update(x, Float32.(G), zero(m), zero(v), 1, 0.001, 0.9, 0.999, Inf)
    @test free.m ≈ 0.1f0 .* G && free.x ≈ x .- 0.001f0 .* sign.(G)
    short = adam_update(x, G ./ 100, zero(m), zero(v), 1, 0.001, 0.9, 0.999, 0.03)
    @test short.m == Float32.((1 - 0.9) .* (G ./ 100)) # shorter than the limit: left alone
end

@testset "schedule" begin
    lengths = GradientFlossing.episode_lengths
    @test lengths(7, 2, 5, 3, 2) == [3, 5, 0, 5, 0, 0, 0]
    @test lengths(4, 1, 5, 3, 9) == [3, 5, 5, 5] # the episode before training does not count
    @test lengths(4, 2, 5, 0, 0) == zeros(4)
    @test lengths(0, 1, 1, 1, 1) == []
    result = trained()
    @test result.flossing_epochs == [1 1; 1 2; 2 1; 2 2; 2 3; 4 1; 4 2; 4 3]
    @test size(result.spectra) == (8, 5) && size(result.trial_order) == (6, 4)
    @test result.trial_order' == trial_order(6, 4)
    none = trained(nLE = 0)
    @test size(none.spectra) == (0, 0) && size(none.flossing_epochs) == (0, 2) && length(none.loss) == 6
    @test none.loss == trained(Ep = 0, Ni = 0).loss != result.loss
    @test trained(E = 0).final_J == trained(E = 0).initial_J == initial_weights(12, 1, 3, 1, 1, 0, 1, 0, 1, 0, 0.1, 0).J
end

@testset "one epoch is what its parts give: $kind, $type" for (kind, type) in
    (("tanh", Float32), ("tanh", Float64), ("binary", Float32), ("spiking", Float32))
    network = (kind, GradientFlossing.default_constants(kind)...)
    result = trained(network = kind, eltype = type, E = 1, Ep = 1)
    p = Dict(name => type.(result[Symbol(:initial_, name)]) for name in GradientFlossing.ALL_NAMES)
    n_state = size(p[:x0], 1)
    @test p[:x0] == initial_state(network..., p[:J], p[:b], 1, 4)
    s, _ = generateInputOutput(1, 25, 1 * 2 + 1 + 1, 1, 1.0, 2, -1) # seed E sIn + e + i
    Q = initial_frame(n_state, 5, 4, p[:J]).Q
    flossed = flossing_gradient(
        network..., p[:ws], p[:J], p[:b], p[:x0][:, 1], Q, type.(s[:, :, 1]), 20, 0.0)
    @test result.spectra[1, :] == flossed.exponents && result.flossing_loss == [flossed.loss]
    adam(x, G, clip) = adam_update(x, G, zero(x), zero(x), 1, 0.001, 0.9, 0.999, clip).x
    for name in (:ws, :J, :b)
        p[name] = adam(p[name], flossed[name], Inf)
    end
    s, target = generateInputOutput(4, 30, 1 * 2 + 1, 1, 1.0, 2, -1)
    order = trial_order(1, 4)[:, 1]
    g = training_gradient(network..., (p[n] for n in GradientFlossing.ALL_NAMES)...,
        type.(s[:, :, order]), type.(target[:, :, order]), 4)
    @test result.loss == [g.loss] && result.accuracy == [g.accuracy]
    for name in GradientFlossing.ALL_NAMES
        G = Float64.(g[name])
        @test result[Symbol(:norm_, name)] == [norm(G)]
        @test result[Symbol(:final_, name)] == adam(p[name], G, Float64(0.03f0))
    end
end

@testset "runs" begin
    for network in ("tanh", "binary", "spiking")
        first_run, second_run = trained(network = network), trained(network = network)
        @test isequal(first_run, second_run)
        @test first_run.final_J != first_run.initial_J
    end
    values33 = values(SMALL)
    @test trainRNNflossing(values33...; progress = false) == trained()
    constants = GradientFlossing.PER_STEP
    @test train_network("spiking", "fast_sigmoid", constants, "Float32", values33...) == trained(network = "spiking")
    @test train_network("tanh", "", Float64[], "Float64", values33...) == trained(eltype = Float64)
    @test trained(network = ("spiking", "fast_sigmoid", constants)) == trained(network = "spiking")
    # At a prompt a result takes a few lines, whatever its size; a run without epochs has one too.
    for result in (trained(), trained(E = 0, nLE = 0), trained(nLE = 0))
        shown = sprint(show, MIME"text/plain"(), result)
        @test occursin("$(length(result.loss)) epochs", shown) && length(shown) < 400
    end
    # The easiest task is learned, so the gradient's sign and the order of input and target are right.
    copying = trained(N = 20, E = 150, nLE = 0, task = 0, delay = 1, T = 20, B = 16, lr = 0.01)
    @test copying.accuracy[1] < 0.8 && copying.accuracy[end] > 0.95
    # Flossing moves the exponents towards the target.
    flossed = trained(E = 1, Ep = 60, lr = 0.005, Lwnt = -0.1)
    @test flossed.flossing_loss[end] < 0.3 * flossed.flossing_loss[1]
end

"The message with which a changed call is refused."
function refusal(; changes...)
    try
        trained(; changes...)
    catch error
        error isa ArgumentError || rethrow()
        return error.msg
    end
    return "nothing was refused"
end

@testset "bad values are refused by name, before any work" begin
    bad = (
        (N = 0,), (E = -1,), (Ef = 0,), (Ei = -1,), (Ep = -1,), (Ni = -1,), (B = 0,), (S = 2,), (S = 0,), (T = 4,),
        (T = 0,), (Tp = 12,), (Ti = 19,), (sIC = -1,), (sIn = 0,), (sNet = -1,), (sONS = -1,), (lr = NaN,), (b1 = 1.0,),
        (b2 = -0.1,), (IC = 2,), (g = Inf,), (gbar = NaN,), (I1 = 1e39,), (delay = 0,), (delay = -1,), (wsS = NaN,),
        (wsM = Inf,), (wrS = NaN,), (wrM = NaN,), (bS = NaN,), (bM = NaN,), (nLE = 13,), (nLE = -1,), (task = 63,),
        (Lwnt = NaN,), (N = 12.5,), (B = true,), (lr = true,), (sIn = -1,), (sIn = typemax(Int64),),
    )
    for change in bad
        name, value = first(pairs(change))
        @test startswith(refusal(; change...), "$name = $value is not allowed: it must be")
    end
    # with lines of progress, whose number depends on E
    @test_throws ArgumentError trainSRNNflossing(12, "6", values(SMALL)[3:end]...)
    # The seed of a flossing epoch alone is zero: 6 sIn + e + i = 0 with e = 4, i = 2 or 3.
    @test startswith(refusal(sIn = -1, Ei = 3, E = 6), "sIn = -1 is not allowed")
    @test startswith(refusal(nLE = 13, network = "spiking"), "nLE = 13 is not allowed") # no synaptic decay
    @test startswith(refusal(network = "lif"), "network = \"lif\" is not allowed")
    @test startswith(refusal(network = ("lif", "", [])), "network = (\"lif\"")
    @test startswith(refusal(network = 3), "network = 3 is not allowed")
    @test startswith(refusal(N = "12"), "N = \"12\" is not allowed: it must be an integer")
    @test startswith(refusal(lr = "0.1"), "lr = \"0.1\" is not allowed: it must be a finite real number")
    @test_throws ArgumentError trainSRNNflossing(values(SMALL)...; eltype = Float16, progress = false)
    @test_throws ArgumentError train_network("tanh", "", Float64[], "Float16", values(SMALL)...)
    @test_throws ArgumentError train_network("tanh", "", Float64[], "Float32", 1, 2)
    # Legal as in the original.
    @test length(trained(Tp = 1, Ti = 1, Ep = 0, Ni = 0).loss) == 6
    @test trained(IC = 3, gbar = 5.0).loss == trained(IC = 3).loss
    @test length(trained(delay = 0, task = 0, intype = -7, sIn = -9).loss) == 6
end

"The NonFiniteError of a call, as text."
failure(; changes...) = try
    trained(; changes...)
    "nothing failed"
catch error
    sprint(showerror, error)
end

@testset "numbers that are not finite stop the run and say where" begin
    # Saturated units have a gain of 0, so the frame collapses before any sum with an infinite state.
    @test occursin("is not finite (epoch 1, flossing epoch 1, step ", failure(wsS = 1e38, I1 = 1e38))
    @test occursin("state is not finite (epoch 1, step", failure(wsS = 1e38, I1 = 1e38, nLE = 0))
    @test occursin("exponent 1 (-Inf) is not finite (epoch 1, flossing epoch 1, step 1)", failure(g = 0.0))
    @test occursin("(epoch 2, flossing epoch 1", failure(g = 0.0, Ep = 0, bS = 1e-30, lr = 0.0))
end

@testset "Zygote is asked for only where it is installed" begin
    if Base.identify_package("Zygote") === nothing
        error = try
            trainSRNNflossing(values(SMALL)...; progress = false, use_zygote = true)
        catch caught
            caught
        end
        @test error isa ArgumentError && occursin("Zygote", error.msg)
    else
        own, theirs = trained(eltype = Float64), trainSRNNflossing(
            values(SMALL)...; network = "tanh", eltype = Float64, progress = false, use_zygote = true)
        @test own.final_J ≈ theirs.final_J rtol = 1e-6
    end
end

@testset "progress is printed when asked for" begin
    path, io = mktemp()
    redirect_stdout(() -> trainRNNflossing(values(SMALL)...), io)
    close(io)
    lines = readlines(path)
    rm(path)
    @test length(lines) == 6 && startswith(lines[1], "epoch 1/6  loss ") && occursin("first exponent", lines[6])
end
