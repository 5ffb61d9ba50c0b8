# The same call for juliacall. Only strings and arrays cross the border between the languages, because those two
# conversions are the same in every version of PythonCall and lose no type (a Float32 scalar would become a Python float).

"""
    invoke_flat(target, name, kinds, args...) -> (description, arrays...)

Like `invoke`, with scalars as arrays of one element and strings as bytes in both directions. `kinds` has one letter per
argument: `s`calar, `a`rray or s`t`ring. The first line of `description` is `ok` or `error` and the reply's form; each
further line is the kind and the name of one of the `arrays`.
"""
function invoke_flat(target::Module, name, kinds, args...)
    reply = invoke(target, name, map(from_flat, Tuple(String(kinds)), args)...)
    lines = [string(reply.ok ? "ok " : "error ", Int(reply.form))]
    for (key, value) in zip(reply.names, reply.values)
        push!(lines, string(kind_letter(value), " ", key))
    end
    return (join(lines, "\n"), map(to_flat, reply.values)...)
end

from_flat(kind::Char, x) = kind == 's' ? first(x) : kind == 't' ? String(Array{UInt8}(x)) : x

kind_letter(::Scalar) = 's'
kind_letter(::Array) = 'a'
kind_letter(::String) = 't'

to_flat(x::Scalar) = [x]
to_flat(x::Array) = x
to_flat(x::String) = Vector{UInt8}(codeunits(x))
