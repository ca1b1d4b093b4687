"""A server that is told of verdicts, for tests."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TypeAlias

SOON = 120.0
Gives: TypeAlias = Callable[[str, dict[str, str]], tuple[int, bytes]]
"""A path and headers of a GET enter, status and content of its answer leave."""


def wait_until(happened: Callable[[], object]) -> None:
    end = time.monotonic() + SOON
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        Event().wait(0.02)


class Server:
    """A server that answers as it is told, and keeps what it was sent."""

    def __init__(self, answers: Callable[[int], int], gives: Gives) -> None:
        received: list[tuple[dict[str, str], bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, content = gives(self.path, dict(self.headers))
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(({name.lower(): value for name, value in self.headers.items()}, content))
                status = answers(len(received))
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.received = received
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def receiving(
    answers: Callable[[int], int] = lambda _: 204, gives: Gives = lambda *_: (404, b"")
) -> Iterator[Server]:
    receiver = Server(answers, gives)
    thread = Thread(target=receiver.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()
