"""Run the contract tests of the official OpenAI SDK against a running server (not part of the suite: the tests are not ours).

The tests are in the SDK's source distribution and ask for rows with made-up ids. A small proxy stands between: it gives them real
ones (`file_id`, `input_file_id`, `batch_id`, `after`) and the real key.

    pip download --no-deps --no-binary :all: openai==3.52.0 && tar xzf openai-3.52.0.tar.gz
    manage.py create_api_key --workspace contract            # prints the key
    python -m tests.journeys.sdk_contract --base-url http://127.0.0.1:8000/v1 --key KEY --sdk openai-3.52.0 test_batches.py test_files.py
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "authorization"}
_LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "any", "input": "hello"}}\n'


class Server:
    """The server under test, spoken to with the real key."""

    def __init__(self, base_url: str, key: str) -> None:
        self.address = urlsplit(base_url)
        self.key = key

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address.hostname or "", self.address.port or 80, timeout=30)
        try:
            connection.request(method, self.address.path.rstrip("/") + path, body, headers | {"Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def ask(self, path: str, body: bytes, content_type: str) -> str:
        """The id of what a POST has made."""
        status, _, content = self.send("POST", path, body, {"Content-Type": content_type})
        if status != 200:
            sys.exit(f"POST {path} answered {status}: {content.decode()}")
        return str(json.loads(content)["id"])

    def upload(self) -> str:
        parts = [b'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n']
        parts.append(b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + _LINE + b"\r\n")
        body = b"".join(b"--cut\r\n" + part for part in parts) + b"--cut--\r\n"
        return self.ask("/files", body, "multipart/form-data; boundary=cut")

    def submit(self) -> str:
        request = {"input_file_id": self.upload(), "endpoint": "/v1/responses", "completion_window": "24h"}
        return self.ask("/batches", json.dumps(request).encode(), "application/json")


class Proxy(BaseHTTPRequestHandler):
    """Puts real ids in the place of the made-up ones. What a test deletes or cancels is made for it."""

    server_under_test: ClassVar[Server]
    file_id: ClassVar[str]
    batch_id: ClassVar[str]

    def handle_any(self) -> None:
        target = self.server_under_test
        path = self.path
        if "/files/file_id" in path:
            path = path.replace("/files/file_id", f"/files/{target.upload() if self.command == 'DELETE' else self.file_id}")
        if "/batches/batch_id" in path:
            path = path.replace("/batches/batch_id", f"/batches/{target.submit() if path.endswith('/cancel') else self.batch_id}")
        path = path.replace("after=after", f"after={self.file_id if path.startswith('/files') else self.batch_id}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = body.replace(b'"input_file_id":"input_file_id"', b'"input_file_id":"%s"' % self.file_id.encode())
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        status, answered, content = target.send(self.command, path, body, headers)
        self.send_response(status)
        for name, value in answered.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 -- the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Quiet: pytest tells what failed."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the OpenAI SDK's contract tests against a running server.")
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--sdk", required=True, type=Path, help="the unpacked source distribution")
    parser.add_argument("tests", nargs="+", help="files below tests/api_resources")
    arguments = parser.parse_args()
    Proxy.server_under_test = Server(arguments.base_url, arguments.key)
    Proxy.file_id, Proxy.batch_id = Proxy.server_under_test.upload(), Proxy.server_under_test.submit()
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings="]
        command += [f"tests/api_resources/{name}" for name in arguments.tests]
        environment = os.environ | {"TEST_API_BASE_URL": f"http://127.0.0.1:{proxy.server_address[1]}"}
        status = subprocess.run(command, cwd=arguments.sdk, env=environment, check=False).returncode
        proxy.shutdown()
    return status


if __name__ == "__main__":
    sys.exit(main())
