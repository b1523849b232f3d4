"""One request to an index: a read, a publish, or what the user lets pass; and its answer.

A read gets the credential at once. A publish is read to its end first: the form is judged, the
agent asks the policy and perhaps the user, and only then the form is written anew and sent, so that
the index reads what was checked. That holds also where the tool's own credential goes with it. A
tool that gives up before has published nothing; afterwards the agent learns the index's answer
whatever becomes of the tool.
"""

from __future__ import annotations

import contextlib
import secrets

import h11

from tokenward_relay.agent_link import NOT_SENT
from tokenward_relay.echo import require_none, without_echo
from tokenward_relay.form import FormReader, RewrittenForm, boundary_of, check_form
from tokenward_relay.grants import PASS, PUBLISH, Grant, decide
from tokenward_relay.head import (
    headers_for_index,
    headers_for_tool,
    headers_to_pass,
    is_empty_body,
    require_own,
    status_for_tool,
)
from tokenward_relay.refusal import Refusal
from tokenward_relay.spool import TemporarySpool
from tokenward_relay.upstream import BROKEN, FAILURES, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

    import httpcore

    from tokenward_relay.credentials import Credentials
    from tokenward_relay.head import Head
    from tokenward_relay.run_state import RunState
    from tokenward_relay.target import Target
    from tokenward_relay.tool_stream import ToolStream
    from tokenward_relay.upstream import Upstream

UNKNOWN: Final = "unknown"
"""The status of an upload whose answer did not arrive."""

_REPEATED: Final = {b"GET", b"HEAD"}

_LARGE: Final = 256 * 1024
"""Bytes of an answer that are passed on at once."""

_SMALL: Final = 64 * 1024
"""Bytes of an answer that is read before its head goes on: an echo in it is a whole refusal."""


def answer(
    run: RunState, stream: ToolStream, head: Head, target: Target, grants: Sequence[Grant]
) -> None:
    """Answer one request to an index. Raises Refusal, OSError."""
    grant, kind = decide(grants, head.method, target)
    if kind == PUBLISH:
        _publish(run, stream, head, target, grant)
        return
    if kind == PASS:
        _pass_on(run, stream, head, target.raw, grant, run.upstream)
        return
    if not is_empty_body(head):
        raise Refusal(400, "a read with a body")
    list(stream.body())
    authorization = run.credentials.for_read(grant)
    headers = headers_for_index(head, grant, authorization.header)
    with _response(run.upstream, grant, head.method, target.raw, headers, None) as response:
        if response.status == 401:
            run.credentials.forget_read(grant)
        _judge_status(run, response.status, grant)
        _return(stream, head, response, authorization.needles)


def _pass_on(
    run: RunState, stream: ToolStream, head: Head, target: bytes, grant: Grant, upstream: Upstream
) -> None:
    """Send a request as the tool sent it, with its own credentials."""
    headers = headers_to_pass(head, grant, run.capability)
    body: Iterator[bytes] | None = stream.body()
    if is_empty_body(head):
        list(stream.body())
        body = None
    elif head.values(b"transfer-encoding"):
        headers.append((b"transfer-encoding", b"chunked"))
    with _response(upstream, grant, head.method, target, headers, body) as response:
        _return(stream, head, response, (), passed=True)


def _publish(run: RunState, stream: ToolStream, head: Head, target: Target, grant: Grant) -> None:
    if grant.own:
        require_own(head, grant, run.capability)
    with contextlib.ExitStack() as files:

        def open_file() -> TemporarySpool:
            file = TemporarySpool(run.spool)
            files.callback(file.close)
            return file

        reader = FormReader(boundary_of(head), open_file)
        for piece in stream.body():
            reader.feed(piece)
        form = reader.finish()
        upload = check_form(form, grant)
        rewritten = RewrittenForm(form, secrets.token_hex(16).encode())

        def wait() -> None:
            _require_tool(stream)
            stream.send_tick()

        locks = run.credentials.locks
        with run.credentials.for_publish(grant, upload, wait) as authorization:
            number = authorization.number
            try:
                _require_tool(stream)
                if run.credentials.locks != locks:
                    raise Refusal(400, "the vault was locked", "`auth unlock`")
            except (OSError, Refusal):
                run.report(number, NOT_SENT)
                raise
            content = rewritten.content_type, rewritten.length
            ours = None if grant.own else authorization.header
            headers = headers_for_index(head, grant, ours, content)
            needles = () if grant.own else authorization.needles
            _send_upload(run, stream, head, target, grant, headers, rewritten, number, needles)


def _require_tool(stream: ToolStream) -> None:
    """Raise ConnectionError if the tool does not wait any more."""
    if stream.has_hung_up():
        raise ConnectionError("the tool gave up; nothing was sent")


def _send_upload(
    run: RunState,
    stream: ToolStream,
    head: Head,
    target: Target,
    grant: Grant,
    headers: list[tuple[bytes, bytes]],
    rewritten: RewrittenForm,
    number: int,
    needles: Sequence[bytes],
) -> None:
    """Send a checked upload, and report what became of it, by the `number` of its question."""
    status = NOT_SENT

    def pieces() -> Iterator[bytes]:
        nonlocal status
        status = UNKNOWN
        yield from _pieces(rewritten, run.credentials)

    reported = False
    try:
        with stream.ticking() as stop:
            sent = _response(run.upstream, grant, b"POST", target.raw, headers, pieces())
            with sent as response:
                stop.set()
                status = str(response.status)
                run.report(number, status)
                reported = True
                _judge_status(run, response.status, grant)
                _return(stream, head, response, needles)
    finally:
        if not reported:
            run.report(number, status)


def _judge_status(run: RunState, status: int, grant: Grant) -> None:
    """Raise Refusal for a status that would make the tool prompt; say what pip and maturin hide."""
    status_for_tool(status, grant)
    if status == 403:
        hint = "`auth token --check` asks the index what it thinks of the credential"
        run.tell(
            Refusal(403, f"{grant.name} forbids this to {grant.whose}", "" if grant.own else hint)
        )


def _pieces(rewritten: RewrittenForm, credentials: Credentials) -> Iterator[bytes]:
    """Yield the body of an upload. Raises Refusal if a lock comes in between."""
    locks = credentials.locks
    for part in rewritten.parts():
        if isinstance(part, bytes):
            chunks: Iterable[bytes] = (part,)
        else:
            assert isinstance(part.spool, TemporarySpool)  # noqa: S101 - for the type checkers
            chunks = part.spool.chunks()
        for piece in chunks:
            if credentials.locks != locks:
                raise Refusal(400, "the vault was locked, and the upload was broken off")
            yield piece


@contextlib.contextmanager
def _response(
    upstream: Upstream,
    grant: Grant,
    method: bytes,
    target: bytes,
    headers: list[tuple[bytes, bytes]],
    body: Iterator[bytes] | None,
) -> Iterator[httpcore.Response]:
    """Send a request; what fails before the answer is a Refusal, later the connection breaks off.

    A read is sent again once: the index may have closed a kept connection in the same moment.
    """
    answered = False

    def send() -> contextlib.AbstractContextManager[httpcore.Response]:
        return upstream.send(grant, method, target, headers, body)

    try:
        with contextlib.ExitStack() as stack:
            try:
                response = stack.enter_context(send())
            except BROKEN:
                if method not in _REPEATED or body is not None:
                    raise
                response = stack.enter_context(send())
            answered = True
            yield response
    except FAILURES as error:
        if answered:
            raise ConnectionError("the index broke off") from None
        raise Refusal(502, f"{grant.host} cannot be reached: {reason_of(error)}") from None


def _return(
    stream: ToolStream,
    head: Head,
    response: httpcore.Response,
    needles: Sequence[bytes],
    *,
    passed: bool = False,
) -> None:
    """Return an index's answer to the tool."""
    headers = headers_for_tool(response.headers, needles, passed=passed)
    lengths = (int(value) for name, value in headers if name.lower() == b"content-length")
    length = next(lengths, None)
    reason = response.extensions.get("reason_phrase", b"")
    require_none(reason, needles)
    pieces = without_echo(_large(response.iter_stream()), needles)
    first = b""
    if needles and (length is None or length < _SMALL) and head.method != b"HEAD":
        for piece in pieces:
            first += piece
            if len(first) >= _SMALL:
                break
    stream.send(h11.Response(status_code=response.status, headers=headers, reason=reason))
    if head.method != b"HEAD":
        if first:
            stream.send(h11.Data(data=first))
        for piece in pieces:
            stream.send(h11.Data(data=piece))
    stream.send(h11.EndOfMessage())


def _large(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces together: one read of TLS has 16 KiB, and each piece costs as much as a large one.

    The first is not held back, so that a small answer does not wait.
    """
    held: list[bytes] = []
    size = _LARGE
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _LARGE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def forward_plain(
    run: RunState, stream: ToolStream, head: Head, host: str, port: int, target: bytes
) -> None:
    """Forward a request for an `http://` URL of a host without a grant, as a proxy does."""
    _pass_on(run, stream, head, target, Grant(host, "http", host, port), run.outside)
