# The option of gradients by Zygote and BackwardsLinalg, as in the published tanh code. Both are looked for, and loaded,
# only when they are asked for; this program itself needs the standard library only.

"Gradient functions like those of `own_gradients`, by Zygote; an error says what is missing where it is not installed."
function zygote_gradients(net)
    for package in ("Zygote", "BackwardsLinalg")
        Base.identify_package(package) === nothing && throw(ArgumentError(
            "use_zygote = true is not allowed here: it must be false unless $package is installed; " *
            "in Julia: import Pkg; Pkg.add([\"Zygote\", \"BackwardsLinalg\"])"))
    end
    isdefined(@__MODULE__, :ZygoteGradients) ||
        Base.include(@__MODULE__, joinpath(@__DIR__, "zygote_gradients.jl"))
    # Called in the newest world: the module was loaded after this function began.
    training(args...) = Base.invokelatest(ZygoteGradients.training_gradient, net, args...)
    flossing(args...) = Base.invokelatest(ZygoteGradients.flossing_gradient, net, args...)
    return training, flossing
end
