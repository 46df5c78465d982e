"""A proxy that stands between an HTTP client and a real server and fails as told, request by request."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["pass", "503", "html", "reset", "lose", "cut", "stall"]
"""What happens to a request: it passes; 503 in S3's words; 502 in a gateway's; the line is cut before it reaches the
server; it reaches the server and the answer is lost; half the answer arrives; nothing arrives for a while."""

STALL_S = 1.0


class FaultProxy(ThreadingHTTPServer):
    """Meets the plan's faults in order, then lets everything pass."""

    daemon_threads = True

    def __init__(self, upstream: str, plan: Iterable[Fault]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.seen: list[str] = []
        self._plan = list(plan)
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def next_fault(self, request: str) -> Fault:
        with self._lock:
            self.seen.append(request)
            return self._plan.pop(0) if self._plan else "pass"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: broken lines are the point."""


@contextmanager
def fault_proxy(upstream: str, plan: Iterable[Fault]) -> Iterator[FaultProxy]:
    """Run a proxy on loopback for as long as the context lasts."""
    proxy = FaultProxy(upstream, plan)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultProxy

    def _handle(self) -> None:
        fault = self.server.next_fault(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault == "503":
            self._answer(503, b"<Error><Code>SlowDown</Code><Message>slower</Message></Error>", "application/xml")
        elif fault == "html":
            self._answer(502, b"<html>Bad Gateway</html>", "text/html")
        elif fault == "reset":
            self._reset()
        elif fault == "stall":
            time.sleep(STALL_S)
            self._reset()
        else:
            self._forward(body, fault)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815  # the names http.server asks for

    def _forward(self, body: bytes, fault: Fault) -> None:
        line = http.client.HTTPConnection(self.server.upstream, timeout=30)
        try:
            line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                line.putheader(name, value)
            line.endheaders(body)
            answer = line.getresponse()
            data = answer.read()
        finally:
            line.close()
        if fault == "lose":
            self._reset()
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        if answer.getheader("content-length") is None:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)
        if fault == "cut":
            self._reset()

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        """End the connection with a reset instead of a farewell."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # http.server's name
        """Keep the test's output clean."""
