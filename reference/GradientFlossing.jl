"""
Our own Julia reference of (surrogate) gradient flossing: plain Julia, standard library only, 1.5 to 1.12.

This is not the authors' file. Their code for spiking networks was never published. docs/specification.md has every
equation, and its section 13 what rests on which publication; docs/differences.md says what differs from the original.
"""
module GradientFlossing

using LinearAlgebra: LinearAlgebra, BLAS, LAPACK, mul!, norm, qr

export generateInputOutput, initial_weights, trial_order,
       dsfmt_words, ziggurat_tables, twister_draws, native_twister_draws, native_twister_kinds,
       xoroshiro_draws, xoroshiro_state,
       surrogate_derivative, surrogate_slope, network_step, network_jacobian, initial_state, initial_frame,
       trajectory, readout, training_loss, training_gradient, spectrum, flossing_gradient, adam_update, episode_lengths,
       train_network, trainSRNNflossing, trainRNNflossing

include("src/logarithm.jl")
include("src/ziggurat.jl")
include("src/twister.jl")
include("src/xoroshiro.jl")
include("src/task.jl")
include("src/weights.jl")
include("src/draws.jl")
include("src/errors.jl")
include("src/surrogates.jl")
include("src/networks.jl")
include("src/trajectory.jl")
include("src/spectrum.jl")
include("src/training_gradient.jl")
include("src/flossing_gradient.jl")
include("src/optimiser.jl")
include("src/parameters.jl")
include("src/training.jl")
include("src/zygote.jl")
include("src/calls.jl")
include("src/legacy.jl")

end
