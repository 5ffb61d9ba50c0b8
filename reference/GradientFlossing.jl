"""
Our own Julia reference of (surrogate) gradient flossing: plain Julia, standard library only, 1.5 to 1.12.

This is not the authors' file. Their code for spiking networks was never published; what rests on which
publication is listed in the project's README.
"""
module GradientFlossing

export generateInputOutput, initial_weights, trial_order,
       dsfmt_words, ziggurat_tables, twister_draws, native_twister_draws, native_twister_kinds,
       xoroshiro_draws, xoroshiro_state

include("src/logarithm.jl")
include("src/ziggurat.jl")
include("src/twister.jl")
include("src/xoroshiro.jl")
include("src/task.jl")
include("src/weights.jl")
include("src/draws.jl")

end
