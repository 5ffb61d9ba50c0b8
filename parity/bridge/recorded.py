"""Recording what Julia answers, and answering from such a record where there is no Julia."""

from __future__ import annotations

import datetime
from pathlib import Path

from parity.bridge import wire
from parity.bridge.connection import Closing, JuliaConnection
from parity.bridge.errors import JuliaConnectionError, JuliaError, NotRecorded, StaleTranscript
from parity.bridge.transcript import RECORD_COMMAND, Transcript, describe_call, digest_of

# A backtrace names folders of the machine and would make every recording differ.
_NO_BACKTRACE = "(backtraces are not recorded)"


class RecordingConnection(Closing):
    """Passes calls on to `inner` and keeps the answers, errors thrown in Julia included.

    `sources_hash` is that of the Julia sources behind `inner`. A call that is answered differently the second
    time cannot be replayed and is an error.
    """

    def __init__(
        self,
        inner: JuliaConnection,
        *,
        sources_hash: str,
        package_version: str,
        date: datetime.date | None = None,
    ) -> None:
        self._inner = inner
        facts = {
            "recorded_on": (date or datetime.datetime.now(datetime.timezone.utc).date()).isoformat(),
            "package_version": package_version,
            "sources_hash": sources_hash,
        }
        self._transcript = Transcript(inner.provenance() | facts)

    def call(self, name: str, *args: wire.Argument, timeout: float | None = None) -> wire.Result:
        """Call through `inner` and keep the answer; see `JuliaConnection.call`."""
        digest = digest_of(name, args)
        try:
            result = self._inner.call(name, *args, timeout=timeout)
        except JuliaError as error:
            self._keep(digest, describe_call(name, args), wire.Reply.of_error(error.message, _NO_BACKTRACE))
            raise
        self._keep(digest, describe_call(name, args), wire.Reply.of_result(result))
        return result

    def save(self, path: Path) -> None:
        """Write everything recorded so far."""
        self._transcript.save(Path(path))

    def provenance(self) -> dict[str, str]:
        """What is recorded about the origin of the answers."""
        return dict(self._transcript.provenance)

    def close(self) -> None:
        """Close `inner`; `save` still works."""
        self._inner.close()

    def _keep(self, digest: str, described: str, reply: wire.Reply) -> None:
        answer = b"".join(wire.encode_reply(reply))
        if self._transcript.answers.setdefault(digest, answer) != answer:
            raise JuliaConnectionError(f"cannot record {described}: Julia has answered it in two ways")
        self._transcript.calls[digest] = described


class RecordedConnection(Closing):
    """Answers from a transcript, as long as it was recorded with the present Julia sources."""

    def __init__(self, path: Path, sources_hash: str) -> None:
        self._path = Path(path)
        self._transcript = Transcript.load(self._path)
        recorded = self._transcript.provenance.get("sources_hash", "unknown")
        if recorded != sources_hash:
            raise StaleTranscript(
                f"{path} was recorded with other Julia sources: their hash was {recorded}, now it is "
                f"{sources_hash}; `{RECORD_COMMAND}` records anew"
            )
        self._closed = False

    def call(self, name: str, *args: wire.Argument, timeout: float | None = None) -> wire.Result:
        """The recorded answer, at once whatever `timeout` says; see `JuliaConnection.call`."""
        if self._closed:
            raise JuliaConnectionError(f"the transcript {self._path} was closed; open it again")
        answer = self._transcript.answers.get(digest_of(name, args))
        if answer is None:
            described = describe_call(name, args)
            raise NotRecorded(f"{self._path} has no answer to {described}; `{RECORD_COMMAND}` records anew")
        return wire.decode_reply(bytearray(answer)).result()

    def names(self) -> list[str]:
        """The functions of which there are answers."""
        return sorted({described.split("(", 1)[0] for described in self._transcript.calls.values()})

    def provenance(self) -> dict[str, str]:
        """What answered when the transcript was recorded."""
        facts = self._transcript.provenance
        return facts | {"connection": "recorded", "recorded_from": facts.get("connection", "unknown")}

    def close(self) -> None:
        """Refuse further calls."""
        self._closed = True
