# julia server.jl MODULE_FILE MODULE_NAME REQUEST_FD RESPONSE_FD
#
# Serves the functions of a module over two inherited pipes (file descriptors), until the request pipe ends. Standard
# output stays free for whatever the module prints.

const F_SETFD, FD_CLOEXEC = 2, 1

function inherited(argument)
    fd = parse(Cint, argument)
    # A program that the module starts must not hold the pipe open after our death.
    ccall(:fcntl, Cint, (Cint, Cint, Cint...), fd, F_SETFD, FD_CLOEXEC)
    return fdio(fd)
end

length(ARGS) == 4 || error("usage: server.jl MODULE_FILE MODULE_NAME REQUEST_FD RESPONSE_FD")
include("Bridge.jl")
include(abspath(ARGS[1]))
Bridge.serve(getfield(Main, Symbol(ARGS[2])), inherited(ARGS[3]), inherited(ARGS[4]))
