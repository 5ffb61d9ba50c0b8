"""What can go wrong when Julia is called."""

from __future__ import annotations


class JuliaError(Exception):
    """An error thrown by Julia code; the connection stays usable."""

    def __init__(self, message: str, backtrace: str) -> None:
        super().__init__(message, backtrace)
        self.message = message
        self.backtrace = backtrace

    def __str__(self) -> str:
        return self.message


class JuliaConnectionError(Exception):
    """There is no answer from Julia, for a reason that lies outside the called function."""


class _JuliaFailed(JuliaConnectionError):
    """Julia answers no more: what happened, `during` what, the end of its `output`, and what helps."""

    advice = "`python -m parity doctor` shows which Julia is used, and `--julia-path PATH` names another"

    def __init__(self, what: str, during: str, output: str) -> None:
        super().__init__(what, during, output)
        self.what = what
        self.during = during
        self.output = output

    def __str__(self) -> str:
        printed = f"its last output:\n{self.output}" if self.output else "it printed nothing"
        return f"{self.what}; {printed}\nWhat you can do: {self.advice}."


class JuliaCrashed(_JuliaFailed):
    """The Julia process ended by itself or was killed by somebody else; `how` is its exit code or signal."""

    def __init__(self, how: str, during: str, output: str) -> None:
        super().__init__(f"Julia ended ({how}) during {during}", during, output)
        self.how = how
        if how == "SIGKILL":
            self.advice = "see whether the machine ran out of memory (`dmesg`), which kills the largest process"


class JuliaTimeout(_JuliaFailed):
    """Julia did not answer in time and was killed."""

    advice = (
        "see whether something has stopped it or keeps the processors busy; where the machine is only slow, "
        "PYFLOSSING_TIMEOUT_FACTOR=10 in the environment allows ten times as long"
    )

    def __init__(self, during: str, seconds: float, output: str) -> None:
        super().__init__(f"Julia was killed, because {during} took longer than {seconds:g} s", during, output)


class JuliaAnswerTooLong(_JuliaFailed):
    """The answer is longer than any that is read; Julia was killed, because the rest of it would have to be read."""

    advice = "let the function give back less, such as a part, a sum or a checksum"

    def __init__(self, size: int, most: int, during: str, output: str) -> None:
        told = f"the answer to {during} has {size / 1e9:.1f} GB, and at most {most / 1e9:.1f} GB are read"
        super().__init__(f"Julia was killed, because {told}", during, output)


class JuliaGarbled(_JuliaFailed):
    """What arrived is no answer in the wire format; Julia was killed, because nothing after it could be trusted."""

    def __init__(self, problem: str, during: str, output: str) -> None:
        super().__init__(
            f"Julia was killed, because what it sent during {during} is no answer: {problem}", during, output
        )


class StaleTranscript(JuliaConnectionError):
    """The Julia sources have changed since the transcript was recorded."""


class NotRecorded(JuliaConnectionError):
    """The transcript has no answer to this call."""
