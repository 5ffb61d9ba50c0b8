# The wire format, described in parity/bridge/wire.py. Arrays go between stream and memory in one piece, uncopied.

const SCALAR, ARRAY, STRING = 0x00, 0x01, 0x02

read_text(io::IO) = String(read!(io, Vector{UInt8}(undef, read(io, Int64))))

function read_value(io::IO)
    kind, code, dimensions = read(io, UInt8), read(io, UInt8), read(io, UInt8)
    size = ntuple(_ -> read(io, Int64), Int(dimensions))
    type = SENDABLE[code + 1]
    kind == SCALAR && return read(io, type)
    array = read!(io, Array{type}(undef, size))
    return kind == STRING ? String(array) : array
end

"The function name and the arguments of the next request."
function read_request(io::IO)
    read(io, UInt64)  # the length of the body, for readers that want it whole
    name = read_text(io)
    return name, Any[read_value(io) for _ in 1:read(io, Int64)]
end

write_text(io::IO, text::String) = write(io, Int64(sizeof(text)), text)

write_head(io::IO, kind, ::Type{T}, size) where {T} =
    write(io, kind, UInt8(findfirst(==(T), SENDABLE) - 1), UInt8(length(size)), Int64[size...])

head(x::Scalar) = (SCALAR, typeof(x), ())
head(x::Array) = (ARRAY, eltype(x), size(x))
head(x::String) = (STRING, UInt8, (sizeof(x),))

"Write a response, length first."
function write_reply(io::IO, reply::Reply)
    start = IOBuffer()
    write(start, UInt8(!reply.ok), reply.form, Int64(length(reply.values)))
    pieces = Any[take!(start)]
    for (name, value) in zip(reply.names, reply.values)
        before = IOBuffer()
        write_text(before, name)
        write_head(before, head(value)...)
        push!(pieces, take!(before), value)
    end
    write(io, UInt64(sum(sizeof, pieces)))
    foreach(piece -> write(io, piece), pieces)
    flush(io)
end
