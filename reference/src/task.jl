# The delayed copy and XOR tasks, after the authors' published generator. Specification, section 2.

"""
    s, target = generateInputOutput(B, T, seedInput, S, sigma, delay, task)

B trials of T steps: input `s` (T, S, B) = sigma times random bits, `target` (T, 1, B), both Float32.
task = 0 copies the input after `delay` steps; task = ±h is the XOR of the 2^h inputs delay, 2delay, ... back.
"""
function generateInputOutput(B, T, seedInput, S, sigma, delay, task)
    B >= 1 || throw(ArgumentError("B = $B is not allowed: it must be at least 1"))
    T >= 1 || throw(ArgumentError("T = $T is not allowed: it must be at least 1"))
    S == 1 || throw(ArgumentError("S = $S is not allowed: the target has one channel, so S must be 1"))
    isfinite(sigma) || throw(ArgumentError("sigma = $sigma is not allowed: it must be finite"))
    delay >= (task == 0 ? 0 : 1) ||
        throw(ArgumentError("delay = $delay is not allowed for task = $task"))
    bits = reshape(draw_bits(Xoroshiro(seedInput), (T + delay) * S * B), T + delay, S, B)
    target = falses(T + delay, 1, B)
    lags = task == 0 ? [delay] : delay .* (1:2^abs(task))
    for i in last(lags)+1:T+delay, lag in lags
        target[i, 1, :] .⊻= bits[i-lag, 1, :]
    end
    kept = delay+1:T+delay
    return Float32(sigma) .* Float32.(bits[kept, :, :]), Float32.(target[kept, :, :])
end
