# julia server.jl MODULE_FILE MODULE_NAME REQUEST_FD RESPONSE_FD
#
# Serves the functions of a module over two inherited pipes (file descriptors), until the request pipe ends. Standard
# output stays free for whatever the module prints.

const PR_SET_PDEATHSIG, SIGKILL, F_SETFD, FD_CLOEXEC = 1, 9, 2, 1

# A long computation would not notice that nobody waits for it any more. The parent asks for this only when the thread
# that starts us lives as long as the parent does: Linux sends the signal when that thread ends.
if Sys.islinux() && get(ENV, "PARITY_BRIDGE_DIE_WITH_PARENT", "0") == "1"
    ccall(:prctl, Cint, (Cint, Culong, Culong, Culong, Culong), PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
end

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
