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


class JuliaCrashed(JuliaConnectionError):
    """The Julia process ended by itself: `how` is its exit code or signal, `output` the end of its output."""

    def __init__(self, how: str, during: str, output: str) -> None:
        super().__init__(how, during, output)
        self.how = how
        self.during = during
        self.output = output

    def __str__(self) -> str:
        printed = f"its last output:\n{self.output}" if self.output else "it printed nothing"
        return f"Julia ended ({self.how}) during {self.during}; {printed}"


class JuliaTimeout(JuliaConnectionError):
    """Julia did not answer in time and was killed."""


class StaleTranscript(JuliaConnectionError):
    """The Julia sources have changed since the transcript was recorded."""


class NotRecorded(JuliaConnectionError):
    """The transcript has no answer to this call."""
