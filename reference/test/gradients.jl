@testset "gradients equal forward-mode derivatives: $kind, $surrogate" for
    (kind, surrogate, constants) in [NETWORKS; WITH_RESET]
    e = example(kind)
    @testset "of the training loss" begin
        g = training_gradient(kind, surrogate, constants, parameters(e)..., e.s, e.target, 4)
        gradients = (g.ws, g.J, g.wr, g.b, g.offset, g.x0)
        @test map(size, gradients) == map(size, parameters(e))
        plain = training_loss(kind, surrogate, constants, parameters(e)..., e.s, e.target, 4)
        @test plain.loss == g.loss && plain.accuracy == g.accuracy
        for k in 1:6
            directions = zeros_but(k, parameters(e), e.rng)
            exact = directional(parameters(e), directions) do p...
                training_loss(kind, surrogate, constants, p..., e.s, e.target, 4).loss
            end
            @test abs(exact) > 1e-8
            @test total(gradients, directions) ≈ exact rtol = 1e-9
        end
    end
    # All directions of the state: the QR's adjoint divides by R, so the last ones lose digits to its conditioning.
    most = length(constants) == 7 && constants[7] == 1 ? 2 : length(e.x0[:, 1])
    @testset "of the flossing loss, $k exponents" for (k, rtol) in ((1, 1e-9), (min(4, most), 1e-9), (most, 1e-6))
        x, Q, Tp, Lwnt = e.x0[:, 1], e.Q[:, 1:k], 22, -0.1
        g = flossing_gradient(kind, surrogate, constants, weights(e)..., x, Q, e.s[:, :, 1], Tp, Lwnt)
        exponents = spectrum(kind, surrogate, constants, weights(e)..., x, Q, e.s[:, :, 1:1], Tp)
        @test g.exponents == exponents
        @test g.loss ≈ sum((exponents .+ 0.1) .^ 2) / k
        for i in 1:3
            directions = zeros_but(i, weights(e), e.rng)
            exact = directional(weights(e), directions) do ws, J, b
                lambda = spectrum(kind, surrogate, constants, ws, J, b, Dual.(x), Dual.(Q), e.s[:, :, 1], Tp)
                sum((lambda .- Lwnt) .^ 2) / k
            end
            @test abs(exact) > 1e-8
            @test total((g.ws, g.J, g.b), directions) ≈ exact rtol = rtol
        end
    end
end

@testset "gradients equal finite differences where the network is smooth" begin
    e = example("tanh")
    Q = e.Q[:, 1:3]
    g = training_gradient("tanh", "", Float64[], parameters(e)..., e.s, e.target, 4)
    h = flossing_gradient("tanh", "", Float64[], weights(e)..., e.x0[:, 1], Q, e.s[:, :, 1], 22, 0.0)
    for index in (1, 8, 20)
        shifted(step) = (J = copy(e.J); J[index] += step; J)
        loss(step) = training_loss(
            "tanh", "", Float64[], e.ws, shifted(step), parameters(e)[3:6]..., e.s, e.target, 4).loss
        lambda(step) = spectrum("tanh", "", Float64[], e.ws, shifted(step), e.b, e.x0[:, 1], Q, e.s[:, :, 1], 22)
        @test g.J[index] ≈ (loss(1e-5) - loss(-1e-5)) / 2e-5 rtol = 1e-6
        @test h.J[index] ≈ (sum(abs2, lambda(1e-5)) - sum(abs2, lambda(-1e-5))) / 2e-5 / 3 rtol = 1e-6
    end
end

@testset "Float32 stays Float32" begin
    e = map(x -> x isa Array ? Float32.(x) : x, example("spiking"))
    kind, surrogate, constants = NETWORKS[4]
    g = training_gradient(kind, surrogate, constants, parameters(e)..., e.s, e.target, 4)
    h = flossing_gradient(kind, surrogate, constants, weights(e)..., e.x0[:, 1], e.Q[:, 1:3], e.s[:, :, 1], 22, 0.0)
    @test all(eltype(x) == Float32 for (name, x) in pairs(merge(g, h)) if name != :accuracy)
end
