# The file that the published README includes was never released. This is OUR OWN program under its name, not the
# authors' file: their published algorithm and networks, written anew. Include it in a plain REPL and call
#     trainSRNNflossing(80, 3001, 100, 500, 500, 2, 16, 1, 300, 55, 300, 1, 1, 1, 1, 0.001, 0.9, 0.999, 1, 1.0, 0.0,
#                       1.0, 10, 1.0, 0.0, 1.0, 0.0, 0.1, 0.0, 75, -1, 3, 0.0)
# (a spiking network; network = "binary" gives the one of the published figures), or trainRNNflossing with the same
# parameters (the tanh network of the published Julia code), or generateInputOutput.
isdefined(@__MODULE__, :GradientFlossing) || include(joinpath(@__DIR__, "GradientFlossing.jl"))
using .GradientFlossing: generateInputOutput, trainSRNNflossing, trainRNNflossing
