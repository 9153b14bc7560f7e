"""A server on this machine alone, which shows a network in training to the owner of its token."""

import hmac
import json
import secrets
import sys
import threading
import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NoReturn
from urllib.parse import parse_qs

from experiments.step.page import page, policy
from experiments.step.requests import answer
from experiments.step.session import Session
from multinn import Trainer

_ADDRESS: Final = "127.0.0.1"
_MOST_BYTES: Final = 4096  # of the body of a request
_SECONDS: Final = 10.0  # in which a client has to send or take some bytes
_PAGE, _ACT = "/", "/act"
_METHODS: Final = {_PAGE: "GET", _ACT: "POST"}
_TOKEN: Final = "X-Token"  # a header
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def serve(trainer: Trainer, x: Any, y: Any, *, port: int = 0, browser: bool = True) -> None:
    """Show a trainer on a page of its own, and train it there, until Ctrl-C.

    Each step uses all examples. A copy of the trainer is trained.

    Args:
        trainer: with parameters or without.
        x: (examples, ...), as in `Trainer.fit`.
        y: targets, as the loss takes them.
        port: of the server, on 127.0.0.1; 0 for a free one.
        browser: whether the page is opened in a browser.

    Raises:
        KeyboardInterrupt: Ctrl-C ended it.
        OSError: the port is in use.
        TypeError, ValueError: as in `Trainer.trace`.
    """
    with StepServer(Session(trainer, x, y), port) as server:
        print(f"Ctrl-C ends the program. Its page is {server.url}", flush=True)
        if browser:  # some browsers return only when they are closed
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        finally:
            server.lock.acquire(timeout=_SECONDS)  # a step that is being taken ends first


class StepServer(ThreadingHTTPServer):
    """Serves the page of a session on 127.0.0.1.

    Each request is checked: its Host, its Origin if it has one, and the token. The page takes the token
    in its address, and its requests carry it in a header.

    Attributes:
        session: what is shown; used by the holder of the lock only.
        lock: held while a request uses the session.
        token: 256 random bits.
    """

    daemon_threads = True
    request_queue_size = 128  # a browser may open many connections at once

    def __init__(self, session: Session, port: int = 0) -> None:
        """Bind to the port, or to a free one if it is 0.

        Raises:
            OSError: the port is in use.
        """
        super().__init__((_ADDRESS, port), _Handler)
        self.session = session
        self.lock = threading.Lock()
        self.token = secrets.token_urlsafe(32)

    @property
    def host(self) -> str:
        """The address and the port."""
        return f"{_ADDRESS}:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        return f"http://{self.host}{_PAGE}?token={self.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of an error, unless a client has gone."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    """A request is refused with a status and a message."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: StepServer
    timeout = _SECONDS

    def do_GET(self) -> None:
        """Answer with the page."""
        self._respond()

    def do_POST(self) -> None:
        """Carry out a request of the page."""
        self._respond()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request with another method, or one that is not HTTP."""
        self._send(code, "text/plain", message or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the address of the page holds the token."""

    def _respond(self) -> None:
        """Answer a request, or refuse it with a message in plain text."""
        try:
            path, _, query = self.path.partition("?")
            self._check_sender(query)
            if path not in _METHODS:
                raise _RefusedError(HTTPStatus.NOT_FOUND, f"there is only {_PAGE} and {_ACT}")
            if self.command != _METHODS[path]:
                message = f"{path} takes only {_METHODS[path]}"
                raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, message)
            if path == _PAGE:
                self._send_page()
            else:
                self._send_answer(self._read_request())
        except _RefusedError as error:
            self._send(error.status, "text/plain", str(error))

    def _check_sender(self, query: str) -> None:
        """Refuse a sender without the token, and pages of other sites, also under another host name."""
        host = self.server.host
        given = self.headers.get(_TOKEN) or parse_qs(query).get("token", [""])[0]
        if (
            self.headers.get_all("Host") != [host]
            or self.headers.get_all("Origin", [f"http://{host}"]) != [f"http://{host}"]
            or not hmac.compare_digest(given.encode(), self.server.token.encode())
        ):
            message = "only the page at the address that the program has printed may do this"
            raise _RefusedError(HTTPStatus.FORBIDDEN, message)

    def _read_request(self) -> dict[str, Any]:
        lengths = self.headers.get_all("Content-Length", [])
        if len(lengths) != 1 or not lengths[0].isdecimal() or "Transfer-Encoding" in self.headers:
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "expected the Content-Length of the body")
        (length,) = lengths
        if len(length) > len(str(_MOST_BYTES)) or int(length) > _MOST_BYTES:
            message = f"expected a body of at most {_MOST_BYTES:,} bytes"
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"expected {length} bytes, got {len(body)}")
        try:
            request = json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, f"expected JSON: {error}") from error
        if not isinstance(request, dict):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "expected a JSON object")
        return request

    def _send_answer(self, request: dict[str, Any]) -> None:
        try:
            with self.server.lock:
                found = answer(self.server.session, request)
        except (TypeError, ValueError) as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except Exception:
            message = "the program has failed; its terminal shows the error"
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", message)
            raise
        self._send(HTTPStatus.OK, "application/json", json.dumps(found, allow_nan=False))

    def _send_page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        self._send(HTTPStatus.OK, "text/html", page(nonce), policy(nonce))

    def _send(self, status: int, kind: str, text: str, policy: str = "default-src 'none'") -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", policy)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
