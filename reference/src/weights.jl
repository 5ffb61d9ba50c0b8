# Initial parameters in the original's order of draws; each Float32 operation is rounded on its own.
# Specification, section 4.

"""
    initial_weights(N, S, sNet, IC, g, gbar, wsS, wsM, wrS, wrM, bS, bM)

Named tuple of ws (N, S), J (N, N), wr (1, N), b (N) and offset (1), Float32. IC = 1: Gaussian J, IC = 3: the
gain times the Q factor of LAPACK's QR.
"""
function initial_weights(N, S, sNet, IC, g, gbar, wsS, wsM, wrS, wrM, bS, bM)
    IC in (1, 3) || throw(ArgumentError("IC = $IC is not allowed: it must be 1 (Gaussian) or 3 (orthogonal)"))
    rng = Twister(sNet)
    normals(dims...) = reshape(draw_normal(rng, Float32, prod(dims)), dims)
    ws = Float32(wsS) .* normals(N, S) .+ Float32(wsM)
    wr = Float32(wrS) .* normals(1, N) .+ Float32(wrM)
    b = Float32(bM) .+ Float32(bS) .* draw_uniform(rng, Float32, N)
    scaled = Float32(g) .* normals(N, N) ./ Float32(sqrt(N))
    J = IC == 1 ? scaled .+ Float32(gbar) / Float32(N) : Float32(g) .* Matrix(qr(scaled).Q)
    return (ws = ws, J = J, wr = wr, b = b, offset = Float32[0.001])
end

"Order of the B trials (one-based) in epochs 1..E, shape (B, E): a shuffle after reseeding with the epoch."
trial_order(E, B) = reduce(hcat, [shuffled(Twister(e), 1:B) for e in 1:E]; init = zeros(Int, B, 0))
