"""Reading a document as it arrives: its events one by one, each in its own bytes, and the rest of it at the end.

Memory holds one event and one chunk, however many events there are. The reader knows just enough JSON to find where
events begin and end; that each is JSON, and the rest is, the decoder says that reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from loyalty.items.epcis.checking import EVENT_BYTES_LIMIT, NESTING_LIMIT, is_nested_deeper
from loyalty.items.epcis.contexts import Context, read_context
from loyalty.items.epcis.faults import Fault, InvalidEventError, shape_fault
from loyalty.items.epcis.moments import parse_moment
from loyalty.items.epcis.types import Document, EPCISDocument, EPCISQueryDocument, known_members
from loyalty.items.epcis.uris import is_uri

ENVELOPE_BYTES_LIMIT: Final = 1_000_000
"""The most that a document may hold beside its events: context, header and master data."""

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\],:]', re.DOTALL)
_NESTED: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
_LISTS: Final = (["epcisBody", "eventList"], ["epcisBody", "queryResults", "resultsBody", "eventList"])
_BLANK: Final = b" \t\r\n"
_decoder: Final = msgspec.json.Decoder(EPCISDocument | EPCISQueryDocument)


class DocumentHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a document says beside its events. `list_path` is where its events are."""

    context: Context
    list_path: str


class DocumentReader:
    """Takes a document in chunks and gives its events as soon as they are whole."""

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # up to here everything was looked at
        self._names: list[str | None] = []  # the member that is being read, of each object around; None for a list
        self._last = b""  # the last string, which a colon makes a name
        self._in_list = False
        self._start: int | None = None
        self._depth = 0
        self._after_event = False
        self._envelope: list[bytes] = []
        self._kept = 0
        self.event_count = 0
        self.list_path = ""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that end in this chunk. Raises InvalidEventError where the list of events is none."""
        self._buffer += chunk
        events: list[bytes] = []
        while True:
            before = self._at
            finished = self._scan_list(events) if self._in_list else self._scan_envelope()
            if not finished and self._at == before:
                break
        self._forget()
        return events

    def finish(self) -> bytes:
        """The document without its events, once all of it was fed. Raises InvalidEventError where it ends too soon."""
        if self._in_list:
            raise InvalidEventError([Fault(self._place(), "the document ends within its list of events")])
        self._envelope.append(self._buffer)
        return b"".join(self._envelope)

    def _scan_envelope(self) -> bool:
        """Go on to the list of events; whether it was reached."""
        for match in _TOKEN.finditer(self._buffer, self._at):
            token = match.group()
            if token == b'"':
                return False  # a string that goes on in the next chunk
            self._at = match.end()
            if len(token) > 1:
                self._last = token
            elif token == b":":
                if self._names:
                    self._names[-1] = self._last[1:-1].decode("utf-8", "replace")
            elif token == b"{":
                self._names.append("")
            elif token == b"[":
                if self._names in _LISTS and not self.list_path:
                    self._enter()
                    return True
                self._names.append(None)
            elif token in b"}]" and self._names:
                self._names.pop()
        return False

    def _enter(self) -> None:
        self._in_list = True
        self._after_event = False
        self.list_path = "$." + ".".join(name or "" for name in self._names)
        self._envelope.append(self._buffer[: self._at])
        self._buffer = self._buffer[self._at :]
        self._at = 0

    def _scan_list(self, events: list[bytes]) -> bool:
        """Go on within the list of events; whether its end was reached."""
        for match in _NESTED.finditer(self._buffer, self._at):
            token = match.group()
            if token == b'"' and self._start is not None:
                self._guard(self._start)
                return False
            if self._start is None:
                self._between(self._buffer[self._at : match.start()], token)
                if token == b"]":
                    self._in_list = False
                    self._buffer = self._buffer[match.start() :]
                    self._at = 1
                    return True
                self._start = match.start()
            self._at = match.end()
            self._depth += (token in b"{[") - (token in b"}]") if len(token) == 1 else 0
            if self._depth == 0:
                events.append(self._buffer[self._start : self._at])
                self._start = None
                self._after_event = True
                self.event_count += 1
        if self._start is not None:
            self._guard(self._start)
        return False

    def _between(self, gap: bytes, token: bytes) -> None:
        """Nothing but one comma is between two events, and nothing before the first or after the last."""
        wanted = b"," if self._after_event and token != b"]" else b""
        if gap.strip(_BLANK) != wanted or token not in (b"{", b"]"):
            raise InvalidEventError([Fault(self._place(), "expected an event, an object, and commas between events")])

    def _guard(self, start: int) -> None:
        if len(self._buffer) - start > EVENT_BYTES_LIMIT:
            raise InvalidEventError([Fault(self._place(), f"is larger than {EVENT_BYTES_LIMIT} bytes")])

    def _place(self) -> str:
        return f"{self.list_path}[{self.event_count}]"

    def _forget(self) -> None:
        """Let go of what was read."""
        if self._in_list:
            keep = self._at if self._start is None else self._start
            self._buffer = self._buffer[keep:]
            self._at -= keep
            self._start = None if self._start is None else 0
            return
        self._envelope.append(self._buffer[: self._at])
        self._kept += self._at
        self._buffer = self._buffer[self._at :]
        self._at = 0
        if self._kept + len(self._buffer) > ENVELOPE_BYTES_LIMIT:
            message = f"has more than {ENVELOPE_BYTES_LIMIT} bytes beside its events"
            raise InvalidEventError([Fault("$", message)])


def check_envelope(envelope: bytes) -> DocumentHead:
    """Read and check a document without its events. Raises InvalidEventError with every fault, by its path."""
    try:
        document = _decoder.decode(envelope)
        plain: dict[str, Any] = msgspec.json.decode(envelope)
    except msgspec.ValidationError as error:
        raise InvalidEventError([shape_fault(str(error), "$")]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEventError([Fault("$", f"is not JSON: {error}")]) from error
    except RecursionError as error:
        raise InvalidEventError([Fault("$", "is nested too deeply")]) from error
    if is_nested_deeper(envelope, plain, NESTING_LIMIT):
        raise InvalidEventError([Fault("$", f"is nested deeper than {NESTING_LIMIT} levels")])
    context, faults = read_context(plain["@context"], "$.@context")
    path, left = _events_of(document)
    faults += [*_document_faults(document, path, left), *_foreign_members(document, plain, context)]
    if b"\\u0000" in envelope:
        faults.append(Fault("$", "contains the character U+0000, which cannot be kept"))
    if faults:
        raise InvalidEventError(faults)
    return DocumentHead(context=context, list_path=path)


def _events_of(document: EPCISDocument | EPCISQueryDocument) -> tuple[str, list[Any]]:
    """Where a document has its events, and what was left there."""
    if isinstance(document, EPCISDocument):
        return "$.epcisBody.eventList", document.epcis_body.event_list
    results = document.epcis_body.query_results.results_body
    return "$.epcisBody.queryResults.resultsBody.eventList", results.event_list


def _document_faults(document: Document, path: str, left: list[Any]) -> Iterator[Fault]:
    if not document.schema_version.startswith("2."):
        yield Fault("$.schemaVersion", f"{document.schema_version} is not read here; 2.0 is")
    try:
        parse_moment(document.creation_date)
    except ValueError as error:
        yield Fault("$.creationDate", str(error))
    if document.id and not is_uri(document.id):
        yield Fault("$.id", "is not a URI")
    if left:
        yield Fault(path, "is there twice")


def _foreign_members(document: Document, plain: dict[str, Any], context: Context) -> Iterator[Fault]:
    for name in plain.keys() - known_members(type(document)):
        if not context.knows(name):
            yield Fault(f"$.{name}", "is not a field of a document, nor under a prefix that a context declares")
