# Flossing: the mean squared distance of the exponents from a target, and its gradient through the QR decompositions
# and through the trajectory, by a reverse pass written out by hand. Specification, section 8.

"Room for the forward and reverse pass along one trial, to be used again in every flossing epoch."
struct FrameTape{T}
    states::Array{T,3}           # (n_state, 1, Tp+1)
    activations::Array{T,3}      # (N, 1, Tp)
    drive_adjoints::Array{T,3}   # dL/dh, (N, 1, Tp)
    frames::Array{T,3}           # Q, (n_state, k, Tp+1)
    sent::Array{T,3}             # E, (N, k, Tp)
    products::Array{T,3}         # P = J E, (N, k, Tp)
    product_adjoints::Array{T,3} # dL/dP, (N, k, Tp)
    triangles::Array{T,3}        # R, (k, k, Tp)
    logs::Matrix{T}              # log |R_ii|, (k, Tp)
end

FrameTape{T}(n_state, N, k, Tp) where {T} = FrameTape{T}(
    zeros(T, n_state, 1, Tp + 1), zeros(T, N, 1, Tp), zeros(T, N, 1, Tp), zeros(T, n_state, k, Tp + 1),
    zeros(T, N, k, Tp), zeros(T, N, k, Tp), zeros(T, N, k, Tp), zeros(T, k, k, Tp), zeros(T, k, Tp),
)

"States and frames from x (n_state) and Q (n_state, k) along inputs (S, 1, Tp)."
function run_frames!(tape::FrameTape, net, ws, J, b, x, Q, columns)
    tape.states[:, 1, 1] = x
    tape.frames[:, :, 1] = Q
    run_trajectory!(tape.states, tape.activations, net, J, drive(ws, b, columns))
    for n in axes(tape.logs, 2)
        @views A, R = tape.frames[:, :, n+1], tape.triangles[:, :, n]
        @views push_frame!(net, A, tape.sent[:, :, n], tape.products[:, :, n], J, tape.frames[:, :, n],
            tape.states[:, :, n], tape.states[:, :, n+1])
        orthonormalise!(A, R)
        for i in axes(R, 1)
            tape.logs[i, n] = log(abs(R[i, i]))
        end
    end
    return tape
end

"""
The adjoint of A = Q R where the loss depends on R only through log |R_ii|.

`Q_bar` = dL/dQ becomes dL/dA; `weights` holds dL/d log|R_ii|; `M` (k, k) and `scratch` are overwritten. In general
dL/dA = (Q_bar + Q copyltu(M)) R^-T with M = R R_bar' - Q_bar' Q, where copyltu mirrors the lower triangle (Walter and
Lehmann 2010; Liao et al. 2019). Here R_bar is diagonal with R_ii R_bar_ii = weights_i, which is all that M's lower
triangle sees.
"""
function qr_adjoint!(Q_bar, Q, R, weights, M, scratch)
    mul!(M, Q_bar', Q)
    for j in axes(M, 2)
        M[j, j] = weights[j] - M[j, j]
        for i in j+1:size(M, 1)
            M[j, i] = M[i, j] = -M[i, j]
        end
    end
    copyto!(scratch, Q_bar)
    mul!(scratch, Q, M, true, true)
    BLAS.trsm!('R', 'U', 'T', 'N', one(eltype(R)), R, scratch)
    return copyto!(Q_bar, scratch)
end

"""
    frame_gradient!(tape, net, ws, J, b, x, Q, columns, Lwnt)

Exponents (1/step), flossing loss (1/step^2) and its gradients of ws, J and b. The initial state x (n_state) and frame
Q (n_state, k) are constants; inputs (S, 1, Tp). An exponent that is not finite is a NonFiniteError.
"""
function frame_gradient!(tape::FrameTape, net, ws, J, b, x, Q, columns, Lwnt)
    (N, S), (n_state, k), Tp = size(ws), size(Q), size(columns, 3)
    run_frames!(tape, net, ws, J, b, x, Q, columns)
    require_finite_logs(tape.logs)
    exponents = exponents_of(tape.logs)
    target = eltype(exponents)(Lwnt)
    loss = sum(abs2, exponents .- target) / k
    transient = transient_steps(Tp)
    counted = 2 .* (exponents .- target) ./ (k * (Tp - transient)) # dL/d log|R_ii| in a step that counts

    Q_bar, A_bar, scratch, M = zero(Q), zero(Q), similar(Q), similar(Q, k, k)
    E_bar = similar(Q, N, k)
    x_bar, x_bar_before, a_bar = similar(x, n_state, 1), similar(x, n_state, 1), similar(x, N, 1)
    fill!(x_bar, 0)
    uncounted = zero(counted)
    for n in Tp:-1:1
        @views x_old, x_new, Q_old = tape.states[:, :, n], tape.states[:, :, n+1], tape.frames[:, :, n]
        @views P, P_bar = tape.products[:, :, n], tape.product_adjoints[:, :, n]
        @views qr_adjoint!(Q_bar, tape.frames[:, :, n+1], tape.triangles[:, :, n],
            n > transient ? counted : uncounted, M, scratch)
        A_bar, Q_bar = Q_bar, A_bar
        received_adjoint!(net, P_bar, x_bar, A_bar, P, x_old, x_new)
        mul!(E_bar, J', P_bar)
        fill!(x_bar_before, 0)
        sent_adjoint!(net, Q_bar, x_bar_before, E_bar, P_bar, A_bar, Q_old, x_old)
        @views step_adjoint!(net, x_bar, tape.drive_adjoints[:, :, n], a_bar, J, x_old, tape.activations[:, :, n])
        x_bar .+= x_bar_before
    end
    gradients = weight_gradients(tape.drive_adjoints, tape.activations, columns)
    flat(array) = reshape(array, N, k * Tp)
    mul!(gradients.J, flat(tape.product_adjoints), flat(tape.sent)', true, true)
    return exponents, loss, gradients
end
