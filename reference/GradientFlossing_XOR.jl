# The task generator under the original's name: include this file in a plain REPL and call
#     s, target = generateInputOutput(B, T, seedInput, S, sigma, delay, task)
# It is our own program; see GradientFlossing.jl.
isdefined(@__MODULE__, :GradientFlossing) || include(joinpath(@__DIR__, "GradientFlossing.jl"))
using .GradientFlossing: generateInputOutput
