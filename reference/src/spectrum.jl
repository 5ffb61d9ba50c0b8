# Finite-time Lyapunov spectra, in units of 1/step: the frame is pushed by the Jacobian and reorthonormalised by a
# Householder QR in every step. Source: the published Julia code. Specification, section 7.

"Steps of the frame that do not count."
transient_steps(Tp) = 10 + cld(Tp, 10)

function check_counted_steps(Tp)
    Tp > transient_steps(Tp) || throw(ArgumentError(
        "Tp = $Tp is not allowed: it must be at least 13, since the first 10 + ceil(Tp/10) steps do not count"))
    return nothing
end

"Overwrite A (n, k) with its Q factor and the upper triangle of R (k, k) with R; signs as LAPACK leaves them."
function orthonormalise!(A::AbstractMatrix{<:LinearAlgebra.BlasFloat}, R)
    A, tau = LAPACK.geqrf!(A)
    for j in axes(R, 2), i in 1:j
        R[i, j] = A[i, j]
    end
    LAPACK.orgqr!(A, tau)
    return A
end

"The normal numbers (n_state, nLE), Float32, of the seed, and their Q factor in the element type of `probe`."
function initial_frame(n_state, nLE, sONS, probe)
    0 <= nLE <= n_state ||
        throw(ArgumentError("nLE = $nLE is not allowed: it must lie between 0 and the state's size $n_state"))
    raw = reshape(draw_normal(Twister(sONS), Float32, n_state * nLE), n_state, nLE)
    Q = convert(Matrix{eltype(probe)}, raw)
    nLE == 0 && return (raw = raw, Q = Q)
    return (raw = raw, Q = orthonormalise!(copy(Q), zeros(eltype(probe), nLE, nLE)))
end

"A = D Q for the step from x to x_new, columns of length n_state; leaves E and P = J E, both (N, k)."
function push_frame!(net, A, E, P, J, Q, x, x_new)
    sent!(net, E, Q, x)
    mul!(P, J, E)
    return received!(net, A, P, Q, x, x_new)
end

"log |R_ii| in every step, (k, Tp), along states (n_state, 1, Tp+1)."
function local_exponents(net, J, states, Q)
    N, k, Tp = size(J, 1), size(Q, 2), size(states, 3) - 1
    logs = similar(Q, k, Tp)
    Q, A, R = copy(Q), similar(Q), similar(Q, k, k)
    E, P = similar(Q, N, k), similar(Q, N, k)
    for n in 1:Tp
        push_frame!(net, A, E, P, J, Q, view(states, :, :, n), view(states, :, :, n + 1))
        orthonormalise!(A, R)
        for i in 1:k
            logs[i, n] = log(abs(R[i, i]))
        end
        Q, A = A, Q
    end
    return logs
end

"Mean of the local exponents (k, Tp) over the steps that count."
function exponents_of(logs)
    counted = transient_steps(size(logs, 2))+1:size(logs, 2)
    return vec(sum(view(logs, :, counted), dims = 2)) ./ length(counted)
end

"Input of one trial, s (>= Tp, S) or (>= Tp, S, 1), in the order of computation: (S, 1, Tp)."
function trial_columns(s, Tp)
    size(s, 1) >= Tp || throw(ArgumentError("Tp = $Tp is not allowed: the trial has $(size(s, 1)) steps"))
    size(s, 3) == 1 || throw(ArgumentError("s has $(size(s, 3)) trials, which is not allowed: it must be one"))
    return input_columns(reshape(s[1:Tp, :, :], Tp, size(s, 2), 1))
end
