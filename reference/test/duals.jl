# Forward-mode dual numbers, so that the reverse passes can be compared with exact derivatives of the forward passes.

struct Dual <: Real
    value::Float64
    slope::Float64
end

Dual(x::Real) = Dual(Float64(x), 0.0)
Dual(x::Dual) = x
Base.convert(::Type{Dual}, x::Real) = Dual(x)
Base.convert(::Type{Dual}, x::Dual) = x
Base.promote_rule(::Type{Dual}, ::Type{<:Real}) = Dual

Base.:+(x::Dual, y::Dual) = Dual(x.value + y.value, x.slope + y.slope)
Base.:-(x::Dual, y::Dual) = Dual(x.value - y.value, x.slope - y.slope)
Base.:-(x::Dual) = Dual(-x.value, -x.slope)
Base.:*(x::Dual, y::Dual) = Dual(x.value * y.value, x.value * y.slope + x.slope * y.value)
Base.:/(x::Dual, y::Dual) = Dual(x.value / y.value, (x.slope - x.value / y.value * y.slope) / y.value)
Base.:^(x::Dual, n::Integer) = Dual(x.value^n, n * x.value^(n - 1) * x.slope)
Base.:<(x::Dual, y::Dual) = x.value < y.value
Base.:<=(x::Dual, y::Dual) = x.value <= y.value
Base.:(==)(x::Dual, y::Dual) = x.value == y.value
Base.max(x::Dual, y::Dual) = x.value >= y.value ? x : y
Base.abs(x::Dual) = Dual(abs(x.value), sign(x.value) * x.slope)
Base.sign(x::Dual) = Dual(sign(x.value))
Base.exp(x::Dual) = Dual(exp(x.value), exp(x.value) * x.slope)
Base.log(x::Dual) = Dual(log(x.value), x.slope / x.value)
Base.log1p(x::Dual) = Dual(log1p(x.value), x.slope / (1 + x.value))
Base.sqrt(x::Dual) = Dual(sqrt(x.value), x.slope / (2 * sqrt(x.value)))
Base.tanh(x::Dual) = Dual(tanh(x.value), (1 - tanh(x.value)^2) * x.slope)
Base.isnan(x::Dual) = isnan(x.value)
Base.isfinite(x::Dual) = isfinite(x.value)

# The backward passes of sign and spike, and of the reset, are definitions: here is their forward-mode form.
GradientFlossing.step_sign(s, x::Dual) =
    Dual(GradientFlossing.step_sign(s, x.value), GradientFlossing.derivative(s, x).value * x.slope)
GradientFlossing.step_spike(s, x::Dual) =
    Dual(GradientFlossing.step_spike(s, x.value), GradientFlossing.derivative(s, x).value * x.slope)
GradientFlossing.constant_part(x::Dual) = Dual(x.value)

"Gram-Schmidt, twice for accuracy, with the signs of LAPACK's Householder QR."
function GradientFlossing.orthonormalise!(A::AbstractMatrix{Dual}, R)
    signs = sign.(diag(qr([a.value for a in A]).R))
    fill!(R, Dual(0))
    for j in axes(A, 2)
        for _ in 1:2, i in 1:j-1
            overlap = sum(A[:, i] .* A[:, j])
            R[i, j] += overlap
            A[:, j] .-= overlap .* A[:, i]
        end
        R[j, j] = signs[j] * sqrt(sum(A[:, j] .^ 2))
        A[:, j] ./= R[j, j]
    end
    return A
end

"The derivative of f(arrays...) at `at` in the direction `along`, both tuples of arrays."
directional(f, at, along) = f(map((x, v) -> Dual.(x, v), at, along)...).slope
