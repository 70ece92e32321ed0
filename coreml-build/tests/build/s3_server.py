"""An S3 server for tests: moto, behind a door that checks every signature as AWS does.

Owns: the check. moto by itself lets everybody in, so the URL is signed again with botocore, AWS's
own client library, and must come out the same. Must not: store anything itself. Arguments: the
bucket, access key id, secret access key, and the session token that requests must have. Prints the
port, then a line per request: status, method, path and the condition.
"""

import datetime
import sys
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = sys.argv[1]
"""The only bucket."""

CREDENTIALS = Credentials(*sys.argv[2:5])
"""Who may do everything."""


def signed_at(date: str):
    """Lets botocore sign at another time than now."""
    botocore.auth.get_current_datetime = lambda *_: datetime.datetime.strptime(
        date, "%Y%m%dT%H%M%SZ"
    )


def problem(environ: dict) -> str | None:
    """Returns the code of what is wrong with a request's signature."""
    query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
    given = query.get("X-Amz-Signature")
    if given is None:
        return "AccessDenied"
    if query["X-Amz-Credential"].split("/")[0] != CREDENTIALS.access_key:
        return "InvalidAccessKeyId"
    signed = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(
        tzinfo=datetime.UTC
    )
    if abs((datetime.datetime.now(datetime.UTC) - signed).total_seconds()) > float(
        query["X-Amz-Expires"]
    ):
        return "RequestTimeTooSkewed"
    names = query["X-Amz-SignedHeaders"].split(";")
    headers = {name: environ[f"HTTP_{name.upper().replace('-', '_')}"] for name in names}
    if "HTTP_IF_NONE_MATCH" in environ and "if-none-match" not in names:
        return "AccessDenied"
    raw = environ["RAW_URI"].split("?")[0]
    path = urlsplit(raw).path if "://" in raw else raw
    if quote(unquote(path), safe="/-_.~") != path:
        return "InvalidURI"
    request = AWSRequest(
        environ["REQUEST_METHOD"], f"http://{headers['host']}{path}", headers=headers
    )
    region = query["X-Amz-Credential"].split("/")[2]
    auth = botocore.auth.S3SigV4QueryAuth(
        CREDENTIALS, "s3", region, expires=int(query["X-Amz-Expires"])
    )
    signed_at(query["X-Amz-Date"])
    auth.add_auth(request)
    wanted = dict(parse_qsl(urlsplit(request.url).query))
    return None if wanted["X-Amz-Signature"] == given else "SignatureDoesNotMatch"


def main():
    """Serves until it is killed."""
    moto = DomainDispatcherApplication(create_backend_app)
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(BUCKET, "us-east-1")

    def checked(environ: dict, start_response):
        """Answers one request."""
        path, condition = environ["PATH_INFO"], environ.get("HTTP_IF_NONE_MATCH", "-")

        def started(status, headers, *rest):
            print(status.split()[0], environ["REQUEST_METHOD"], path, condition, flush=True)
            return start_response(status, headers, *rest)

        code = problem(environ)
        if code is None:
            return moto(environ, started)
        # A body that is not read would be taken for the next request.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        started("403 Forbidden", [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]

    class Quiet(WSGIRequestHandler):
        """Logs nothing: URLs have signatures in them."""

        def log(self, *_args):
            """Drops a line."""

    server = make_server("127.0.0.1", 0, checked, threaded=False, request_handler=Quiet)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
