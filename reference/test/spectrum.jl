@testset "the exponents' sum is the mean log determinant: $kind, $surrogate" for
    (kind, surrogate, constants) in NETWORKS
    e = example(kind)
    x, s, Tp = e.x0[:, 1:1], e.s[:, :, 1:1], 20
    exponents = spectrum(kind, surrogate, constants, weights(e)..., vec(x), e.Q, s, Tp)
    states = cat(x, trajectory(kind, surrogate, constants, weights(e)..., x, s); dims = 3)
    identity = Matrix(1.0I, length(x), length(x))
    determinants = [log(abs(det(network_jacobian(
        kind, surrogate, constants, e.J, states[:, 1, n], states[:, 1, n+1], identity)))) for n in 13:Tp]
    @test sum(exponents) ≈ sum(determinants) / 8 # 10 + ceil(20 / 10) steps do not count
    # Gram-Schmidt works from left to right: fewer columns give the leading exponents.
    @test spectrum(kind, surrogate, constants, weights(e)..., vec(x), e.Q[:, 1:3], s, Tp) ≈ exponents[1:3]
end

@testset "spectra that are known" begin
    Q = Matrix(qr(randn(MersenneTwister(3), 5, 5)).Q)
    quiet = (zeros(5, 1), 1.7 .* Q, zeros(5))
    start = zeros(5), Matrix(1.0I, 5, 5), zeros(20, 1), 20
    @test spectrum("tanh", "", Float64[], quiet..., start...) ≈ fill(log(1.7), 5) # at the origin D = J
    # No signal through J: the membrane decays by beta, the current by alpha.
    constants = [0.5, 0.9, 1.0, 1.0, 3.0, 3.0]
    silent = spectrum("spiking", "arctan", constants, zeros(5, 1), zeros(5, 5), zeros(5),
        zeros(10), Matrix(1.0I, 10, 10), zeros(20, 1), 20)
    @test sort(silent) ≈ sort([fill(log(0.5), 5); fill(log(0.9), 5)])
    collapsed = spectrum("tanh", "", Float64[], zeros(5, 1), zeros(5, 5), zeros(5), start...)
    @test collapsed == fill(-Inf, 5)
    @test_throws GradientFlossing.NonFiniteError flossing_gradient(
        "tanh", "", Float64[], zeros(5, 1), zeros(5, 5), zeros(5), start..., 0.0)
    @test_throws GradientFlossing.NonFiniteError spectrum(
        "tanh", "", Float64[], zeros(5, 1), fill(NaN, 5, 5), zeros(5), start...)
    @test_throws ArgumentError spectrum("tanh", "", Float64[], quiet..., start[1:3]..., 12)
    @test_throws ArgumentError spectrum("tanh", "", Float64[], quiet..., start[1:3]..., 21)
end

@testset "the frame" begin
    frame = initial_frame(9, 4, 2, zeros(1))
    @test frame.Q' * frame.Q ≈ I
    @test eltype(frame.raw) == Float32 && frame.raw == twister_draws(2, [5 2 9 4 0])[1]
    @test frame.Q ≈ Matrix(qr(Float64.(frame.raw)).Q)
    @test size(initial_frame(9, 0, 2, zeros(Float32, 1)).Q) == (9, 0)
    @test_throws ArgumentError initial_frame(9, 10, 2, zeros(1))
end
