@testset "surrogates" begin
    for name in GradientFlossing.SURROGATE_NAMES
        v = [-2.0, -0.3, -0.1, 0.05, 0.2, 1.7]
        value = surrogate_derivative(name, 2.5, v)
        @test surrogate_derivative(name, 2.5, zeros(3)) == ones(3) # peak 1
        @test value ≈ surrogate_derivative(name, 2.5, -v)
        s = GradientFlossing.Surrogate(name, Dual(2.5))
        @test [GradientFlossing.derivative(s, Dual(x, 1.0)).slope for x in v] ≈ surrogate_slope(name, 2.5, v)
        @test eltype(surrogate_derivative(name, 2.5, Float32.(v))) == Float32
        @test eltype(surrogate_slope(name, 2, Float32.(v))) == Float32
        @test surrogate_slope(name, 2.5, [0.0]) == [0.0]
        far = [-1f10, 1f10] # no overflow into NaN
        @test all(isfinite, surrogate_derivative(name, 10, far)) && all(isfinite, surrogate_slope(name, 10, far))
    end
    @test surrogate_derivative("fast_sigmoid", 2.0, [0.5, -1.0]) ≈ [1 / 4, 1 / 9]
    @test surrogate_derivative("sech2", 2.0, [0.5]) ≈ [1 / cosh(1)^2]
    @test surrogate_derivative("gaussian", 2.0, [0.5]) ≈ [exp(-0.5)]
    @test surrogate_derivative("triangular", 2.0, [0.25, 0.75]) ≈ [0.5, 0.0]
    @test surrogate_derivative("sigmoid", 2.0, [0.5]) ≈ [4 * exp(-1) / (1 + exp(-1))^2]
    @test surrogate_derivative("arctan", 2.0, [0.5]) ≈ [1 / 2]
    @test_throws ArgumentError surrogate_derivative("relu", 1.0, [1.0])
    @test_throws ArgumentError surrogate_derivative("sech2", 0.0, [1.0])
    @test_throws ArgumentError network_step("lif", "sech2", Float64[], ones(1, 1), ones(1, 1), ones(1, 1))
    @test_throws ArgumentError network_step("binary", "sech2", Float64[], ones(1, 1), ones(1, 1), ones(1, 1))
    @test_throws ArgumentError network_step(
        "spiking", "sech2", [0.1, 0.1, 1, 1, 1, NaN], ones(1, 1), ones(2, 1), ones(1, 1))
    @test_throws ArgumentError network_step(
        "spiking", "sech2", [0.1, 0.1, 1, 1, 1, 1, 0.5], ones(1, 1), ones(2, 1), ones(1, 1))
end

@testset "steps written out" begin
    J, u = [0.5 -1.0; 2.0 0.25], [0.1 0.2; 0.3 0.4]
    x = [0.0 1.0; -2.0 0.5]
    @test network_step("tanh", "", Float64[], J, x, u) ≈ J * tanh.(x) .+ u
    @test network_step("binary", "sech2", [1.0], J, x, u) ≈ J * [-1 1; -1 1] .+ u # sign(0) = -1
    mem, syn = [1.5 0.2; 1.0 3.0], [0.1 0.2; -0.3 0.4] # a membrane at the threshold does not spike
    syn_new = 0.8 .* syn .+ u .+ J * [1 0; 0 1]
    mem_new = (0.9 .* mem .+ 0.3 .* syn_new) .* [0 1; 1 0]
    @test network_step("spiking", "arctan", [0.8, 0.9, 0.3, 1.0, 5, 10], J, [mem; syn], u) ≈ [mem_new; syn_new]
    @test all(isnan, network_step("binary", "sech2", [1.0], J, fill(NaN, 2, 1), zeros(2, 1)))
end

@testset "the Jacobian is the derivative of the step: $kind, $surrogate" for
    (kind, surrogate, constants) in [NETWORKS; WITH_RESET]
    # With one sharpness for both uses, and (spiking) no unit that resets or the factor of the reset, the Jacobian's action
    # is the forward-mode derivative of the step; for tanh and binary it is that of h in the order gain * J, at the new
    # state.
    e = example(kind)
    x, Q = e.x0[:, 1], e.Q[:, 1:3]
    if kind == "spiking"
        resets = length(constants) == 7 && constants[7] == 1
        constants = [constants[1:5]; constants[5]; constants[7:end]]
        resets ? (x[1:2] .= constants[4] .+ (0.3, 0)) : (x[1:6] .= min.(x[1:6], constants[4] - 0.01))
    end
    u = e.s[1:6, 1:1, 1]
    x_new = network_step(kind, surrogate, constants, e.J, reshape(x, :, 1), u)
    ours = network_jacobian(kind, surrogate, constants, e.J, x, vec(x_new), Q)
    if kind == "spiking"
        pushed = [directional((y, J) -> network_step(kind, surrogate, constants, J, y, Dual.(u))[i],
                (reshape(x, :, 1), e.J), (reshape(Q[:, j], :, 1), zero(e.J))) for i in eachindex(x), j in 1:3]
        @test ours ≈ pushed
    else
        gain = kind == "tanh" ? 1 .- tanh.(x_new) .^ 2 : surrogate_derivative(surrogate, constants[1], x_new)
        @test ours ≈ Diagonal(vec(gain)) * e.J * Q
    end
end

@testset "readout, loss and accuracy" begin
    e = example("spiking")
    kind, surrogate, constants = NETWORKS[4]
    states = trajectory(kind, surrogate, constants, e.ws, e.J, e.b, e.x0, e.s)
    @test size(states) == (12, 3, 25)
    x1 = network_step(kind, surrogate, constants, e.J, e.x0, e.ws * e.s[1, :, :] ./ 2 .+ e.b)
    @test states[:, :, 1] ≈ x1 && states[:, :, 2] ≈
        network_step(kind, surrogate, constants, e.J, x1, e.ws * e.s[2, :, :] ./ 2 .+ e.b)
    r = readout(e.wr, e.offset, states)
    @test r[4, 2] ≈ sum(e.wr[k] * states[k, 2, 4] for k in 1:6) + e.offset[1]
    for (f, first_step) in ((7, 7), (0, 1)) # f = 0: all steps count, the divisor is T + 1
        p = 1 ./ (1 .+ exp.(-r[first_step:end, :]))
        y = e.target[first_step:end, 1, :]
        got = training_loss(kind, surrogate, constants, parameters(e)..., e.s, e.target, f)
        @test got.loss ≈ -sum(y .* log.(p) .+ (1 .- y) .* log.(1 .- p)) / (3 * (25 - f + 1))
        @test got.accuracy ≈ sum((p .>= 0.5) .== (y .== 1)) / (3 * (25 - f + 1))
    end
    start = initial_state(kind, surrogate, constants, e.J, e.b, 4, 3)
    normals = reshape(twister_draws(4, [5 2 6 3 0])[1], 6, 3)
    zero_input = trajectory(kind, surrogate, constants, 0 .* e.ws, e.J, e.b, [normals; zeros(6, 3)], zeros(100, 2, 3))
    @test start ≈ zero_input[:, :, 100]
    @test_throws ArgumentError trajectory(kind, surrogate, constants, e.ws, e.J, e.b, e.x0[1:6, :], e.s)
    @test_throws ArgumentError trajectory(kind, surrogate, constants, e.ws, e.J, e.b, e.x0, e.s[:, :, 1:2])
end
