# Small random networks of every kind, in Float64, with states on both sides of every threshold.

const NETWORKS = [
    ("tanh", "sech2", Float64[]),
    ("binary", "sech2", [0.7]),
    ("binary", "fast_sigmoid", [1.3]),
    ("spiking", "fast_sigmoid", [0.6, 0.7, 0.5, 0.3, 2.0, 3.0]),
    ("spiking", "gaussian", [0.4, 0.8, 1.0, 0.2, 1.0, 0.8]),
    ("spiking", "sigmoid", [0.4, 0.8, 1.0, 0.2, 1.0, 0.8]),
    ("spiking", "arctan", GradientFlossing.PUBLISHED),
    ("binary", "sech2", [0.5, 1.4]),
    ("spiking", "sigmoid", [0.4, 0.8, 1.0, 0.2, 1.0, 0.8, 0.0]),
]
# With the factor of the reset in the Jacobian, whose last directions are lost when units spike.
const WITH_RESET = [
    ("spiking", "fast_sigmoid", [0.6, 0.7, 0.5, 0.3, 2.0, 3.0, 1.0]),
    ("spiking", "arctan", [0.0, 0.6, 1.0, 1.2, 1.0, 0.8, 1.0]),
]

function example(kind; N = 6, B = 3, T = 25, S = 2, seed = 1)
    rng = MersenneTwister(seed)
    n_state = kind == "spiking" ? 2N : N
    return (
        ws = randn(rng, N, S), J = 1.5 .* randn(rng, N, N) ./ sqrt(N), wr = randn(rng, 1, N), b = 0.3 .* randn(rng, N),
        offset = randn(rng, 1), x0 = randn(rng, n_state, B), s = randn(rng, T, S, B),
        target = Float64.(rand(rng, Bool, T, 1, B)), Q = Matrix(qr(randn(rng, n_state, n_state)).Q), rng = rng,
    )
end

weights(e) = (e.ws, e.J, e.b)
parameters(e) = (e.ws, e.J, e.wr, e.b, e.offset, e.x0)
total(gradients, directions) = sum(sum(g .* v) for (g, v) in zip(gradients, directions))
zeros_but(k, arrays, rng) = Tuple(i == k ? randn(rng, size(x)...) : zero(x) for (i, x) in enumerate(arrays))
