"""A server that gives out repositories as the Hugging Face hub does: its API for revisions, and
files by commit.

Only what huggingface_hub asks for when it fetches files: `GET /api/models/NAME/revision/REVISION`,
and `HEAD` and `GET` of `/NAME/resolve/REVISION/FILE`, with the headers and error codes of the hub.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API = re.compile("/api/models/(.+?)(?:/revision/([^/?]+))?(?:[?].*)?")
RESOLVE = re.compile("/(.+?)/resolve/([^/]+)/(.+?)(?:[?].*)?")


@dataclass
class Repository:
    """Files at one commit."""

    files: dict[str, bytes]
    gated: bool = False
    commit: str = field(init=False)

    def __post_init__(self):
        names = json.dumps(
            sorted((name, hashlib.sha1(data).hexdigest()) for name, data in self.files.items())
        )
        self.commit = hashlib.sha1(names.encode()).hexdigest()

    def at(self, revision):
        return revision in (None, "main", self.commit)


class Hub(ThreadingHTTPServer):
    """The server; its repositories can be changed while it runs."""

    def __init__(self, repositories: dict[str, Repository]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = repositories
        #: Path of every request.
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        self.server.requests.append(f"{self.command} {self.path}")
        api, resolve = API.fullmatch(self.path), RESOLVE.fullmatch(self.path)
        name, revision = (api or resolve).group(1, 2)
        repository = self.server.repositories.get(name)
        if repository is None:
            return self.refuse(401, "RepoNotFound", "Repository not found")
        if repository.gated and not api:
            return self.refuse(
                403 if "Authorization" in self.headers else 401, "GatedRepo", "Access is restricted"
            )
        if not repository.at(revision):
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if api:
            files = [{"rfilename": file} for file in repository.files]
            body = json.dumps(
                {"id": name, "modelId": name, "sha": repository.commit, "siblings": files}
            ).encode()
            return self.send(200, body, {"Content-Type": "application/json"})
        body = repository.files.get(resolve.group(3))
        if body is None:
            return self.refuse(
                404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": repository.commit}
            )
        headers = {"X-Repo-Commit": repository.commit}
        if resolve.group(3).endswith(".safetensors"):  # in the hub's store of large files
            digest = hashlib.sha256(body).hexdigest()
            headers |= {
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(body)),
                "ETag": f'"{digest}"',
            }
        else:
            headers["ETag"] = (
                f'"{hashlib.sha1(b"blob %d" % len(body) + bytes(1) + body).hexdigest()}"'
            )
        return self.send(200, body, headers)

    def refuse(self, status, code, message, headers=None):
        self.send(status, b"", {"X-Error-Code": code, "X-Error-Message": message} | (headers or {}))

    def send(self, status, body, headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
