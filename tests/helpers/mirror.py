"""A local web server in place of GitHub."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest


class Mirror(http.server.ThreadingHTTPServer):
    """Serves a folder; ``broken`` maps a file to (status, share of it that is sent), ``asked`` lists the requests."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.broken: dict[str, tuple[int, float]] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers the requests of a :class:`Mirror`."""

    server: Mirror

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        status, share = self.server.broken.get(name, (200, 1.0))
        if (status, share) == (200, 1.0):
            super().do_GET()
            return
        content = (Path(self.directory) / name).read_bytes()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: int(share * len(content))])

    def translate_path(self, path: str) -> str:
        """Serve a file under any folder."""
        return super().translate_path(path.rpartition("/")[2])

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def mirror_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Serve a folder."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Mirror(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
