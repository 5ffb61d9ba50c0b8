# A number that is not finite stops a run; refusals of arguments are ArgumentErrors.

"""
A number that is not finite: what it is, and where in the run and in the trial (0: does not apply).
"""
struct NonFiniteError <: Exception
    quantity::String
    step::Int
    epoch::Int
    flossing_epoch::Int
end

NonFiniteError(quantity; step = 0) = NonFiniteError(quantity, step, 0, 0)

"The same error with its place in the run."
located(e::NonFiniteError, epoch, flossing_epoch) = NonFiniteError(e.quantity, e.step, epoch, flossing_epoch)

function Base.showerror(io::IO, e::NonFiniteError)
    places = ["$name $value" for (name, value) in
        (("epoch", e.epoch), ("flossing epoch", e.flossing_epoch), ("step", e.step)) if value > 0]
    print(io, "NonFiniteError: the ", e.quantity, " is not finite", isempty(places) ? "" : " ($(join(places, ", ")))")
end

function require_finite_gradients(gradients)
    for (name, gradient) in pairs(gradients)
        all(isfinite, gradient) || throw(NonFiniteError("gradient of $name"))
    end
    return gradients
end

"Flossing cannot go on from a direction that has collapsed (-Inf) or from a NaN."
function require_finite_logs(logs)
    for n in axes(logs, 2), i in axes(logs, 1)
        isfinite(logs[i, n]) || throw(NonFiniteError("local exponent $i ($(logs[i, n]))"; step = n))
    end
    return nothing
end

"An error that names the first step (states[:, :, n+1] is after step n) with a state that is not finite."
function non_finite_loss(states)
    for n in 2:size(states, 3)
        all(isfinite, view(states, :, :, n)) || return NonFiniteError("state"; step = n - 1)
    end
    return NonFiniteError("loss")
end
