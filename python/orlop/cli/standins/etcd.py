"""`etcd` for envtest: holds the folder that the API server's store is in, and says that it is well.

Nothing speaks etcd's protocol here. The stand-in of the API server asks it for the folder, so that objects live as
long as this process's folder does, as they would in etcd. It starts in a tenth of a second: no import beyond the
standard library.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

STORE = "/orlop/store"
"""Where it tells the folder."""


def parser() -> argparse.ArgumentParser:
    """Etcd's flags, as far as they matter here; others are passed over."""
    flags = argparse.ArgumentParser(prog="etcd", description=__doc__.splitlines()[0], allow_abbrev=False)
    flags.add_argument("--listen-client-urls", required=True, metavar="URL", help="where it answers /health")
    flags.add_argument("--data-dir", type=Path, required=True, metavar="DIR", help="where the store will be")
    return flags


def server(url: str, folder: Path) -> HTTPServer:
    """A server at `url` for `folder`. Raises ValueError, OSError."""
    where = urlsplit(url)
    if where.scheme != "http" or where.hostname is None:
        raise ValueError(f"--listen-client-urls: {url!r} must be http://ADDRESS:PORT")
    answers = {"/health": b'{"health":"true","reason":""}', STORE: str(folder).encode()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    return HTTPServer((where.hostname, where.port or 2379), Handler)


def main(argv: Sequence[str]) -> int:
    arguments, _ = parser().parse_known_args(argv)
    folder = arguments.data_dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server(arguments.listen_client_urls.split(",")[0], folder).serve_forever()
    except (ValueError, OSError) as error:
        print(f"etcd: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
