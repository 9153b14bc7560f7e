"""The server answers its own page alone, and keeps what it shows from harm."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.client import HTTPConnection, HTTPResponse
from queue import Queue

import pytest

from experiments.step import serve
from experiments.step.server import StepServer
from experiments.xor.recipes import INPUTS, TARGETS
from tests.experiments.step.conftest import new_trainer
from tests.support.helpers import ROOT

SHOW = b'{"action": "show"}'


def send(server, method, path, body=None, **headers) -> HTTPResponse:
    """Send a request with the right token, host and origin, unless the headers say otherwise."""
    connection = HTTPConnection(*server.server_address, timeout=10)
    given = {"X-Token": server.token, "Origin": f"http://{server.host}"} | headers
    connection.request(method, path, body, {name: value for name, value in given.items() if value})
    response = connection.getresponse()
    response.text = response.read().decode()  # type: ignore[attr-defined]
    connection.close()
    return response


def act(server, **request):
    """Send a request of the page, and return the answer."""
    response = send(server, "POST", "/act", json.dumps(request))
    assert response.status == 200, response.text
    return json.loads(response.text)


def raw(server, text: bytes) -> bytes:
    """Send bytes, and return what comes back."""
    with socket.create_connection(server.server_address, timeout=10) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def unchanged(server):
    """Check that the session is as it was before the test."""
    before = server.session.view()
    yield
    assert server.session.view() == before


def test_the_page_is_served_at_its_address(server):
    with urllib.request.urlopen(server.url) as response:
        page, headers = response.read().decode(), response.headers
    assert page.startswith("<!doctype html>")
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    nonce = policy["script-src"].removeprefix("'nonce-").removesuffix("'")
    assert page.count(f'nonce="{nonce}"') == page.count("<script") + page.count("<style")
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_each_page_has_its_own_nonce(server):
    policies = {send(server, "GET", "/").headers["Content-Security-Policy"] for _ in range(2)}
    assert len(policies) == 2


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


def test_each_server_has_its_own_token(server, session):
    with StepServer(session) as other:
        assert other.token != server.token
        assert len(other.token) >= 43  # 256 bits


FOREIGN = [
    {"X-Token": None},
    {"X-Token": ""},
    {"X-Token": "wrong"},
    {"X-Token": "w\xf6rong"},
    {"Host": "example.com"},
    {"Host": "localhost"},
    {"Host": "127.0.0.1"},
    {"Host": "127.0.0.1:1"},
    {"Origin": "http://example.com"},
    {"Origin": "https://127.0.0.1"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/act"), ("GET", "/secret"), ("POST", "/")]
)
def test_others_are_refused(server, unchanged, method, path, headers):
    response = send(server, method, path, SHOW, **headers)
    assert response.status == 403
    assert server.token not in response.text
    assert "printed" in response.text


@pytest.mark.parametrize(
    "lines", ["", "Host: {host}\r\nHost: {host}\r\n", "Host: {host}\r\nOrigin: a\r\nOrigin: http://{host}\r\n"]
)  # fmt: skip
def test_missing_and_doubled_headers_are_refused(server, lines):
    text = f"GET / HTTP/1.1\r\nX-Token: {server.token}\r\n{lines.format(host=server.host)}\r\n"
    assert b" 403 " in raw(server, text.encode()).splitlines()[0]


@pytest.mark.parametrize(
    "path", ["/index.html", "/live.js", "/../server.py", "/%2e%2e/server.py", "/act/", "*", "/act%00"]
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_there_are_no_other_paths(server, method, path):
    assert send(server, method, path, SHOW).status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("GET", "/act", 405),
        ("PUT", "/act", 501),
        ("DELETE", "/", 501),
        ("OPTIONS", "/act", 501),
        ("HEAD", "/", 501),
    ],
)
def test_other_methods_are_refused(server, unchanged, method, path, status):
    response = send(server, method, path, SHOW)
    assert response.status == status
    assert response.headers["Content-Security-Policy"] == "default-src 'none'"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected JSON"),
        (b"{", "expected JSON"),
        (b"\xff", "expected JSON"),
        (b"[" * 4000, "expected JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"action": "learning_rate", "value": NaN}', "NaN is not a number"),
        (b'{"action": "learning_rate", "value": Infinity}', "Infinity is not a number"),
        (b'{"action": "learning_rate", "value": 1e999}', "value: expected a finite number"),
        (b'{"action": "stop"}', 'action: expected one of show, step, edit, learning_rate, reset'),
        (b'{"action": "step", "count": -1}', "count: expected an integer from 1 to 1,000, got -1"),
    ],
)  # fmt: skip
def test_a_wrong_body_gets_a_clear_error(server, unchanged, body, message):
    response = send(server, "POST", "/act", body)
    assert response.status == 400
    assert message in response.text


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Content-Length: 4097", 413),
        (f"Content-Length: {'9' * 5000}", 413),
        ("Content-Length: -1", 411),
        ("Content-Length: +5", 411),
        ("Content-Length: five", 411),
        ("Accept: */*", 411),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 411),
        ("Content-Length: 5\r\nContent-Length: 5", 411),
    ],
)
def test_a_wrong_length_is_refused_before_the_body_is_read(server, unchanged, header, status):
    response = post_raw(server, header)
    assert f" {status} ".encode() in response.splitlines()[0]


def post_raw(server, headers: str, body: bytes = b"") -> bytes:
    """Send a request with these lines as its headers, and return what comes back."""
    start = f"POST /act HTTP/1.1\r\nHost: {server.host}\r\nX-Token: {server.token}\r\n"
    return raw(server, f"{start}{headers}\r\n\r\n".encode() + body)


def test_a_body_that_ends_early_is_refused(server, unchanged):
    response = post_raw(server, "Content-Length: 100", b'{"action": "step", "count": 1}')
    assert b" 400 " in response.splitlines()[0]
    assert response.endswith(b"expected 100 bytes, got 30")


@pytest.mark.parametrize("text", [b"\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b""])
def test_what_is_no_request_does_no_harm(server, unchanged, text):
    raw(server, text)
    assert act(server, action="show")["step"] == 0


def test_a_slow_client_keeps_nobody_waiting(server, monkeypatch):
    monkeypatch.setattr("experiments.step.server._Handler.timeout", 0.2)
    with socket.create_connection(server.server_address, timeout=10) as slow:
        slow.sendall(b"POST /act HTTP/1.1\r\n")
        assert act(server, action="step", count=1)["step"] == 1
        assert slow.recv(1) == b""  # closed by the server


def test_the_actions_of_the_page(server):
    assert act(server, action="show")["step"] == 0
    assert act(server, action="step", count=3)["step"] == 3
    assert act(server, action="learning_rate", value=0.25)["learning_rate"] == 0.25
    act(server, action="edit", kind="x", layer=None, indices=[1, 0], value=0.5)
    act(server, action="edit", kind="targets", layer=None, indices=[1, 0], value=0.75)
    answer = act(server, action="edit", kind="params", layer=1, path="W", indices=[0, 2], value=4)
    session = server.session
    assert (session.x[1, 0], session.y[1, 0], session.trainer.params[0]["W"][0, 2]) == (0.5, 0.75, 4.0)
    assert answer["trace"] == session.next_step.data
    assert act(server, action="reset")["step"] == 0


def test_two_browsers_are_served_in_turn(server):
    def click():
        for _ in range(10):
            act(server, action="step", count=1)

    browsers = [threading.Thread(target=click) for _ in range(2)]
    for browser in browsers:
        browser.start()
    for browser in browsers:
        browser.join()
    assert act(server, action="show")["step"] == 20


def test_an_unexpected_error_is_reported_to_both_sides(server, monkeypatch, capfd):
    def fail(session, request):
        raise RuntimeError("something broke")

    monkeypatch.setattr("experiments.step.server.answer", fail)
    response = send(server, "POST", "/act", SHOW)
    assert (response.status, response.text) == (
        500,
        "the program has failed; its terminal shows the error",
    )
    monkeypatch.undo()
    assert act(server, action="show")["step"] == 0
    printed, deadline = "", time.monotonic() + 10.0  # the terminal may hear of it after the browser
    while "RuntimeError: something broke" not in printed:
        assert time.monotonic() < deadline, printed
        time.sleep(0.05)  # what is written while it is read is lost
        printed += capfd.readouterr().err


def test_nothing_is_logged(server, capfd):
    send(server, "GET", f"/?token={server.token}", **{"X-Token": None})
    send(server, "GET", "/", **{"X-Token": "wrong"})
    raw(server, b"nonsense\r\n\r\n")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("browser", [True, False])
def test_the_browser_is_opened_unless_told_not_to(monkeypatch, capsys, browser):
    opened: Queue[str] = Queue()

    def interrupted(server):
        if browser:
            assert opened.get(timeout=10) == server.url
        raise KeyboardInterrupt

    monkeypatch.setattr("webbrowser.open", opened.put)
    monkeypatch.setattr(StepServer, "serve_forever", interrupted)
    with pytest.raises(KeyboardInterrupt):
        serve(new_trainer(), INPUTS, TARGETS, browser=browser)
    assert opened.empty()
    assert "Ctrl-C ends the program. Its page is http://127.0.0.1:" in capsys.readouterr().out


def test_control_c_ends_the_program():
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "experiments.step", "--no-browser"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        url = process.stdout.readline().split()[-1]
        with urllib.request.urlopen(url) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (output, errors) == ("", "interrupted\n")
