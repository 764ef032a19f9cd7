"""A web server on this machine that behaves as badly as a test asks it to."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(i * i % 251 for i in range(50_000))


class Server:
    """What there is, and what was asked for.

    Attributes:
        files: content by path.
        faults: names of faults by path, taken one by one, a request each; without any left the file is sent as it is.
        requests: path and Range of every request.
    """

    def __init__(self) -> None:
        self.files = {"/file": CONTENT}
        self.faults: dict[str, list[str]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.tag = '"1"'
        self.ended = threading.Event()
        self.address = ""


@contextmanager
def serving() -> Iterator[Server]:
    """A server as long as the block lasts."""
    state = Server()

    class Handler(_Handler):
        server_state = state

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        state.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            state.ended.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the base class finds it by this name
        state = self.server_state
        state.requests.append((self.path, self.headers.get("Range")))
        self.close_connection = True
        waiting = state.faults.get(self.path, [])
        fault = waiting.pop(0) if waiting else ""
        if fault == "redirect":
            return self._answer(302, b"", {"Location": "/file"})
        if fault == "redirect forever":
            waiting.append(fault)
            return self._answer(302, b"", {"Location": self.path})
        if fault == "web page":
            return self._answer(200, b"<html>for sale</html>", {"Content-Type": "text/html; charset=utf-8"})
        if fault.isdigit():
            return self._answer(int(fault), b"", {})
        if self.path not in state.files:
            return self._answer(404, b"", {})
        return self._send_file(state.files[self.path], fault)

    def _send_file(self, content: bytes, fault: str) -> None:
        state = self.server_state
        headers = {} if fault == "no tag" else {"ETag": state.tag}
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range") == state.tag and fault != "no ranges":
            start = int(asked[1])
            if start >= len(content):
                return self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            sent_from = start + 1 if fault == "wrong piece" else start
            headers["Content-Range"] = f"bytes {sent_from}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if fault == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        cut = len(body) // 2 if fault in ("truncate", "stall", "no tag") else len(body)
        self._answer(206 if start else 200, body[:cut], headers, length=None if fault == "no length" else len(body))
        if fault == "stall":
            self.wfile.flush()
            state.ended.wait(10)

    def _answer(self, status: int, body: bytes, headers: dict[str, str], *, length: int | None = -1) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
