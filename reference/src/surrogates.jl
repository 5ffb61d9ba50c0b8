# Surrogate derivatives of the step function, all with peak 1, as functions of z = sharpness * v where v is the
# distance from the threshold. Specification, section 3.

const SURROGATE_NAMES = ("fast_sigmoid", "sech2", "gaussian", "triangular", "sigmoid", "arctan")

# The name is a value and not a type: there are three networks to compile, not three for each surrogate.
struct Surrogate{T}
    name::Symbol
    sharpness::T

    function Surrogate(name::AbstractString, sharpness::T) where {T}
        name in SURROGATE_NAMES || throw(ArgumentError(
            "surrogate = \"$name\" is not allowed: it must be one of $(join(SURROGATE_NAMES, ", "))"))
        isfinite(sharpness) && sharpness > 0 ||
            throw(ArgumentError("sharpness = $sharpness is not allowed: it must be finite and above 0"))
        return new{T}(Symbol(name), sharpness)
    end
end

Base.broadcastable(s::Surrogate) = Ref(s)

logistic(z) = 1 / (1 + exp(-z))

function shape(name::Symbol, z)
    name === :fast_sigmoid && return 1 / (1 + abs(z))^2 # the published Python example's
    name === :sech2 && return 1 - tanh(z)^2             # the binary network's of the published figures
    name === :gaussian && return exp(-z^2 / 2)
    name === :triangular && return max(zero(z), 1 - abs(z))
    name === :sigmoid && return 4 * logistic(z) * (1 - logistic(z))
    return 1 / (1 + z^2)                                # arctan
end

"d shape / dz, 0 at a kink."
function shape_slope(name::Symbol, z)
    name === :fast_sigmoid && return -2 * sign(z) / (1 + abs(z))^3
    name === :sech2 && return -2 * tanh(z) * (1 - tanh(z)^2)
    name === :gaussian && return -z * exp(-z^2 / 2)
    name === :triangular && return abs(z) < 1 ? -sign(z) : zero(z)
    name === :sigmoid && return 4 * logistic(z) * (1 - logistic(z)) * (1 - 2 * logistic(z))
    return -2 * z / (1 + z^2)^2
end

"The surrogate derivative at distance `v` from the threshold."
derivative(s::Surrogate, v) = shape(s.name, s.sharpness * v)

"The derivative of the surrogate derivative."
slope(s::Surrogate, v) = s.sharpness * shape_slope(s.name, s.sharpness * v)

# The step functions take a surrogate so that a number type with a derivative of its own can use it. A NaN stays one.
"1 above zero, else -1."
step_sign(s, x) = isnan(x) ? x : (x > 0 ? one(x) : -one(x))
"1 above zero, else 0."
step_spike(s, v) = isnan(v) ? v : (v > 0 ? one(v) : zero(v))

surrogate_derivative(name, sharpness, v) = derivative.(Surrogate(name, eltype(v)(sharpness)), v)
surrogate_slope(name, sharpness, v) = slope.(Surrogate(name, eltype(v)(sharpness)), v)
