# The module that a session serves: the functions of the files that were included, each file in a module of its own.

baremodule ParitySession
end

module ParityFiles

import ..ParitySession

const NAMES = ["include_file"]

"""
    include_file(path, wanted) -> String

Evaluate a file and let its functions be called: those of its module `wanted`; or, if that is "", those that it defines
outside of any module, and if there are none, those of its only module. The answer is their names, a line for each.
"""
function include_file(path, wanted)
    box = Core.eval(Main, Expr(:module, true, gensym("file"), Expr(:block)))
    Base.invokelatest(Base.include, box, String(path))
    return Base.invokelatest(serve, box, String(wanted))
end

function serve(box, wanted)
    target = chosen(box, wanted)
    found = functions_of(target)
    if isempty(found)
        modules = modules_of(box)
        error(length(modules) > 1 ? "it has modules $(join(modules, ", ")): name one of them" : "it defines no function")
    end
    for name in found
        Core.eval(ParitySession, Expr(:(=), name, QuoteNode(Base.invokelatest(getfield, target, name))))
    end
    append!(NAMES, setdiff(string.(found), NAMES))
    return join(found, "\n")
end

function chosen(box, wanted)
    modules = modules_of(box)
    if wanted == ""
        return isempty(functions_of(box)) && length(modules) == 1 ? getfield(box, modules[1]) : box
    end
    Symbol(wanted) in modules && return getfield(box, Symbol(wanted))
    has = isempty(modules) ? "none" : join(modules, ", ")
    error("it defines no module $wanted; it has: $has")
end

defined(box, wants) = sort!(filter(names(box; all = true)) do name
    startswith(string(name), "#") && return false
    name in (:eval, :include, nameof(box)) && return false
    return isdefined(box, name) && wants(getfield(box, name))
end)

modules_of(box) = defined(box, value -> value isa Module && parentmodule(value) === box)
functions_of(box) = defined(box, value -> value isa Function && parentmodule(value) === box)

Core.eval(ParitySession, Expr(:const, Expr(:(=), :BRIDGE_NAMES, NAMES)))
Core.eval(ParitySession, Expr(:(=), :include_file, QuoteNode(include_file)))

end
