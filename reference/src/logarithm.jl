# Julia's logarithm is Tang's table-driven one (ACM Trans. Math. Softw. 16 (1990) 378-400), but whether its
# polynomials are fused depends on how Julia was built. The normals in the ziggurat's tail would differ in
# their last bit from machine to machine, so the reference carries the unfused version.

"log(1 + j/128), j = 0..128, as a 39-bit head and a Float64 tail."
const LOG_TABLE = setprecision(BigFloat, 200) do
    map(0:128) do j
        exact = log(1 + big(j) / 128)
        head = Float64(round(exact * big(2)^39)) / 2.0^39
        (head, Float64(exact - head))
    end
end

"Keep the upper 26 bits of the significand."
truncate_bits(x::Float64) = reinterpret(Float64, reinterpret(UInt64, x) & 0xffff_ffff_f800_0000)

"log(1 + f) for small f."
function log_near_one(f::Float64)
    g = 1.0 / (2.0 + f)
    u = 2.0 * f * g
    v = u * u
    q = u * v * (0.08333333333333179 +
        v * (0.012500000003771751 + v * (0.0022321399879194482 + v * 0.0004348877777076146)))
    u1 = truncate_bits(u)
    f1 = truncate_bits(f)
    f2 = f - f1
    u2 = ((2.0 * (f - u1) - u1 * f1) - u1 * f2) * g
    return u1 + (u2 + q)
end

"Natural logarithm of a normal positive Float64 or of zero, the same bits everywhere."
function portable_log(x::Float64)
    x == 0.0 && return -Inf
    0.9394130628134757 < x < 1.0644944589178595 && return log_near_one(x - 1.0)
    y = significand(x)
    power = Float64(exponent(x))
    grid = (y + 3.5184372088832e13) - 3.5184372088832e13 # y rounded to 1/128
    head, tail = LOG_TABLE[Int(128.0 * grid) - 127]
    f = y - grid
    u = (2.0 * f) / (y + grid)
    v = u * u
    q = u * v * (0.08333333333303913 + v * 0.012500053168098584)
    return (power * 0.6931471805601177 + head) + (u + (q + (power * -1.7239444525614835e-13 + tail)))
end
