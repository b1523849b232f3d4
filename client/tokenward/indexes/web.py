"""One HTTP request to one host, for a command of the user.

- TLS is verified, with the bundle in REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE, else with
  the system's.
- A redirect is an ordinary answer and is never followed: a secret goes only to its own host.
- Proxies are those of the environment, and none for this machine itself.
- Errors do not quote headers and bodies: they hold secrets.

It never retries and stores nothing.
"""

from __future__ import annotations

import os
import re
import ssl
from concurrent.futures import Future
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from math import floor
from socket import gaierror
from threading import Thread
from urllib.error import URLError
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from tokenward.ui.formatting import span_text
from tokenward_protocol import VERSION
from tokenward_protocol.index_reply import MOST_BYTES, IndexReply, WebError, require_sendable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message
    from typing import TypeVar

    T = TypeVar("T")

TIMEOUT_SECONDS = 20
"""Seconds for a whole request: a host that sends a byte now and then blocks it no longer."""

SKEW_SECONDS = 60
"""Seconds that two clocks may differ without a notice."""

SLOW_SECONDS = 10
"""Seconds; a longer request says too little about the clock at its other end."""

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_LOOPBACK = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/")


class Web:
    """Asks hosts, with the `environ` of the command; `now` returns the time here.

    `seconds` is how long a whole request may take.

    `ahead` is by how many seconds at least the clock of the last host is ahead of ours, or None if
    it did not say.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        now: Callable[[], float],
        seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._environ = environ
        self._seconds = seconds
        self._now = now
        self._skews: dict[str, str] = {}
        self.ahead: int | None = None

    @property
    def has_skew(self) -> bool:
        """Whether the clock of the last host differs enough for a notice."""
        return self.ahead is not None and abs(self.ahead) > SKEW_SECONDS

    def notices(self) -> list[str]:
        """Return, once, the notices about the clocks of the hosts."""
        found = [notice for notice in self._skews.values() if notice]
        self._skews = dict.fromkeys(self._skews, "")
        return found

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> IndexReply:
        """Send a request and return the host's answer, whatever its status. Raises WebError."""
        headers = {"User-Agent": f"tokenward/{VERSION}", **(headers or {})}
        host = url.split("/")[2]
        require_sendable(host, headers)
        opener = OpenerDirector()
        opener.add_handler(ProxyHandler({} if _LOOPBACK.match(url) else None))
        opener.add_handler(HTTPHandler())
        if url.startswith("https:"):
            opener.add_handler(HTTPSHandler(context=self._context()))
        request = Request(url, data, headers, method=method)  # noqa: S310 - https, or this machine
        began = self._now()

        def ask() -> tuple[int, bytes, str | None]:
            with opener.open(request, timeout=self._seconds) as response:
                return int(response.status), response.read(MOST_BYTES), _date(response.headers)

        try:
            status, body, said = _in_time(ask, self._seconds)
        except (OSError, HTTPException, ValueError) as error:
            failed = f"{host} could not be asked: {_reason(error, self._seconds)}."
        else:
            moment = _moment(said)
            ended = self._now()
            self.ahead = clock_skew(moment, began, ended)
            if moment is not None:
                self._compare(host, moment - (began + ended) / 2)
            return IndexReply(host, status, body, moment)
        raise WebError(failed)  # outside the handler: the error may hold what was sent

    def _context(self) -> ssl.SSLContext:
        for variable in _BUNDLES:
            path = self._environ.get(variable)
            if path:
                folder = os.path.isdir(path)
                try:
                    return ssl.create_default_context(
                        cafile=None if folder else path, capath=path if folder else None
                    )
                except OSError as error:
                    why = error.strerror or "it holds no certificate"
                    raise WebError(
                        f"{path}, which {variable} names, cannot be read: {why}."
                    ) from None
        return ssl.create_default_context()

    def _compare(self, host: str, skew: float) -> None:
        notice = ""
        if abs(skew) > SKEW_SECONDS:
            side = "behind" if skew > 0 else "ahead of"
            nearest = 60 * round(abs(skew) / 60)  # an answer shows whole seconds and takes a while
            notice = f"The clock here is {span_text(nearest)} {side} that of {host}, so tokens expire early or late."
        self._skews.setdefault(host, notice)


def _in_time(work: Callable[[], T], seconds: float) -> T:
    """Return or raise what `work` does; raise TimeoutError if that takes too long.

    Unfinished work is abandoned: the command is about to end.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised in the waiting thread below
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    return done.result(seconds)


def clock_skew(moment: float | None, began: float, ended: float) -> int | None:
    """Return by how many seconds a clock is ahead that showed `moment` between two times here.

    The result is never too large, and too small by at most the time in between and two seconds.
    None if it is unknown, or the time in between too long.
    """
    if moment is None or not 0 <= ended - began <= SLOW_SECONDS:
        return None
    return floor(moment - ended)


def _date(headers: Message) -> str | None:
    """Return the time of an answer; a cached answer only says when it was made."""
    return None if headers["Age"] else headers["Date"]


def _moment(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _reason(error: Exception, seconds: float) -> str:
    """Return why a host could not be asked in time, without anything that was sent."""
    inner = error.reason if isinstance(error, URLError) else error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({inner.verify_message})"
    if isinstance(inner, ssl.SSLError):
        return "it does not speak a known version of TLS"
    if isinstance(inner, gaierror):
        return "its name does not resolve (DNS)"
    if isinstance(inner, TimeoutError):
        return f"it did not answer in {seconds:g} seconds"
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror
    return "it does not speak HTTP"
