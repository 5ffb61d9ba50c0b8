# Clipping and Adam as Flux 0.11.3 does them, array by array. The rates are Float64, so every element of an update is
# computed in Float64 and stored in its array's type: m, v and x in the parameters' type, the step in the gradient's.
# Specification, section 9.

const EPSILON = 1e-8
"""
Norm to which every array's training gradient is clipped on its own. A Float32 number like the learning rate: with the
Float64 0.03, some elements of the authors' recorded first update come out one bit different.
"""
const CLIP_NORM = Float64(0.03f0)

"Rates of Adam; the learning rate is the Float64 value of a Float32, as in the original."
struct Rates
    lr::Float64
    b1::Float64
    b2::Float64
    Rates(lr, b1, b2) = new(Float64(Float32(lr)), b1, b2)
end

"Moments of one array, and b1^t and b2^t of the next update as running products."
mutable struct AdamMemory{A}
    m::A
    v::A
    power1::Float64
    power2::Float64
end

AdamMemory(x, rates::Rates) = AdamMemory(zero(x), zero(x), rates.b1, rates.b2)

"The gradient scaled down to the Euclidean norm `limit` where it is longer."
function clipped(gradient, limit)
    length = norm(gradient)
    return length > limit ? gradient .* (limit / length) : gradient
end

"One update of x in place."
function update!(x, gradient, memory::AdamMemory, rates::Rates)
    m, v, (lr, b1, b2) = memory.m, memory.v, (rates.lr, rates.b1, rates.b2)
    m .= b1 .* m .+ (1 - b1) .* gradient
    v .= b2 .* v .+ (1 - b2) .* gradient .^ 2
    step = similar(gradient)
    step .= m ./ (1 - memory.power1) ./ (sqrt.(v ./ (1 - memory.power2)) .+ EPSILON) .* lr
    memory.power1 *= b1
    memory.power2 *= b2
    x .-= step
    return x
end
