# Normal variates from 52 random bits: Marsaglia and Tsang's ziggurat (J. Stat. Softw. 5, 2000) with 256
# strips and randmtzig's tables, computed here so that no Julia version's private names are needed.

const TAIL_START = 3.6541528853610087963519472518
const INVERSE_TAIL_START = 1.0 / TAIL_START

"Limits (integers of 51 bits), widths and heights of the strips."
function ziggurat_tables()
    limits, widths, heights = zeros(Int64, 256), zeros(256), zeros(256)
    setprecision(BigFloat, 250) do
        mantissas = big(2)^51
        x = parse(BigFloat, "3.65415288536100879635194725185604664812733315920964488827246")
        area = parse(BigFloat, "0.00492867323397465493159091343090397414518845398")
        height = exp(-x^2 / 2)
        widths[256] = x / mantissas
        heights[256] = height
        limits[1] = floor(x * height / area * mantissas)
        widths[1] = area / height / mantissas
        heights[1] = 1
        for i in 255:-1:2
            outer = x
            x = sqrt(-2 * log(area / outer + height))
            height = exp(-x^2 / 2)
            limits[i+1] = floor(x / outer * mantissas)
            widths[i] = x / mantissas
            heights[i] = height
        end
    end
    return (limits = limits, widths = widths, heights = heights)
end

const ZIGGURAT = ziggurat_tables()

"The Float64 in [0, 1) of a 64-bit word whose lower 52 bits are random."
uniform(word::UInt64) = reinterpret(Float64, (word & 0x000fffffffffffff) | 0x3ff0000000000000) - 1.0

"One normal variate from `word`; `next()` gives further words where the first try is rejected."
function normal(word::UInt64, next)
    while true
        magnitude = Int64((word & 0x000fffffffffffff) >> 1)
        strip = magnitude & 0xff + 1
        x = (isodd(word) ? -magnitude : magnitude) * ZIGGURAT.widths[strip]
        magnitude < ZIGGURAT.limits[strip] && return x
        strip == 1 && return normal_tail(magnitude, next)
        height = ZIGGURAT.heights[strip]
        (ZIGGURAT.heights[strip-1] - height) * uniform(next()) + height < exp(-0.5 * x * x) && return x
        word = next()
    end
end

function normal_tail(magnitude::Int64, next)
    while true
        x = -INVERSE_TAIL_START * portable_log(uniform(next()))
        y = -portable_log(uniform(next()))
        y + y > x * x && return isodd(magnitude >> 8) ? -TAIL_START - x : TAIL_START + x
    end
end
