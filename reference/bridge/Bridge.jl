"""
    Bridge

Calls functions of a module by name with plain values and gives plain values back, for a program in another language.

Plain values are the scalars and arrays of `SENDABLE` and strings; an answer is one of them, a Tuple of them or a
NamedTuple of them. `invoke` does the call, `serve` speaks the wire format of `parity/bridge/wire.py` over two streams,
`invoke_flat` serves a caller inside the same process (juliacall). An error thrown by the called function is part of
the answer, so that every connection reports it in the same words. Works on Julia 1.5 and later, standard library only.
"""
module Bridge

using LinearAlgebra: BLAS

ENDIAN_BOM == 0x04030201 || error("Bridge: the wire format is little endian, this machine is not")

const SENDABLE = (Bool, UInt8, Int32, Int64, UInt64, Float32, Float64)  # wire code = position - 1
const Scalar = Union{SENDABLE...}
const SINGLE, POSITIONAL, NAMED = 0x00, 0x01, 0x02

"An answer in plain values: `form` tells a single value, a Tuple and a NamedTuple apart."
struct Reply
    ok::Bool
    form::UInt8
    names::Vector{String}
    values::Vector{Any}
end

include("wire.jl")
include("flat.jl")

"The functions that may be called in `target`: those that it exports and those listed in its `BRIDGE_NAMES`."
function callable_names(target::Module)
    listed = isdefined(target, :BRIDGE_NAMES) ? Symbol.(collect(getfield(target, :BRIDGE_NAMES))) : Symbol[]
    is_callable(name) = isdefined(target, name) && getfield(target, name) isa Function
    return sort!(unique!(filter!(is_callable, vcat(names(target), listed))))
end

"What this Julia is, as strings; callable in every module under the name `bridge_provenance`."
function bridge_provenance()
    cpus = Sys.cpu_info()
    return (
        julia = string(VERSION),
        blas = blas_description(),
        cpu = string(isempty(cpus) ? "unknown" : strip(cpus[1].model), " (", Sys.CPU_NAME, ")"),
        julia_threads = string(Threads.nthreads()),
        blas_threads = blas_threads(),
        word_size = string(Sys.WORD_SIZE),
        system = string(Sys.KERNEL, " ", Sys.MACHINE),
    )
end

# Julia 1.7 replaced the vendor by a configuration of loaded libraries.
blas_description() = isdefined(BLAS, :get_config) ? string(BLAS.get_config()) :
    string(BLAS.vendor(), isdefined(BLAS, :openblas_get_config) ? string(" ", BLAS.openblas_get_config()) : "")
blas_threads() = isdefined(BLAS, :get_num_threads) ? string(BLAS.get_num_threads()) :
    string("OPENBLAS_NUM_THREADS=", get(ENV, "OPENBLAS_NUM_THREADS", "unset"))

function lookup(target::Module, name::AbstractString)
    name == "bridge_provenance" && return bridge_provenance
    known = callable_names(target)
    Symbol(name) in known ||
        error("$(nameof(target)) has no function \"$name\" to call; it has: $(join(known, ", "))")
    return getfield(target, Symbol(name))
end

# Foreign arrays (juliacall's PyArray) would miss BLAS and write through to their owner.
plain_argument(x::AbstractArray) = x isa Array ? x : Array(x)
plain_argument(x::AbstractString) = String(x)
plain_argument(x) = x

plain(x::Scalar, where_) = x
plain(x::AbstractString, where_) = String(x)
plain(x::AbstractArray{<:Scalar,0}, where_) = x[]
function plain(x::AbstractArray, where_)
    eltype(x) in SENDABLE || cannot_send(x, where_)
    return x isa Array ? x : Array(x)
end
plain(x, where_) = cannot_send(x, where_)

cannot_send(x, where_) = error(
    "cannot send a $(typeof(x)) ($where_): only $(join(SENDABLE, ", ")), arrays of them and strings, ",
    "alone, in a Tuple or in a NamedTuple",
)

reply_of(x) = Reply(true, SINGLE, [""], Any[plain(x, "the result")])
reply_of(x::Tuple) =
    Reply(true, POSITIONAL, ["" for _ in x], Any[plain(v, "value $i of the result") for (i, v) in enumerate(x)])
reply_of(x::NamedTuple) =
    Reply(true, NAMED, [string(k) for k in keys(x)], Any[plain(v, "value `$k` of the result") for (k, v) in pairs(x)])
reply_of_error(exception, backtrace) = Reply(
    false, NAMED, ["message", "backtrace"], Any[sprint(showerror, exception), sprint(Base.show_backtrace, backtrace)]
)

"""
    invoke(target, name, args...) -> Reply

Call the function `name` of the module `target`. Never throws: an exception becomes a `Reply` that is not `ok`.
"""
invoke(target::Module, name, args...) = Base.invokelatest(invoke_now, target, String(name), args)

# Called in the newest world, look-up included: the module may be younger than the world of our caller.
function invoke_now(target::Module, name::String, args)
    try
        return reply_of(lookup(target, name)(map(plain_argument, args)...))
    catch exception
        return reply_of_error(exception, catch_backtrace())
    end
end

"Answer the requests that come from the stream `input` on the stream `output` until `input` ends."
function serve(target::Module, input::IO, output::IO)
    while !eof(input)
        name, args = read_request(input)
        write_reply(output, invoke(target, name, args...))
    end
end

end
