"""What both clients' checks stand on: a running sandbox, its control calls, and a receiver of webhooks."""

import json
import queue
import subprocess
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sandbox:
    """`consentd sandbox` on free ports, ended with the block."""

    def __init__(self, binary):
        self.binary = binary

    def __enter__(self):
        command = [self.binary, "--json", "sandbox"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.urls = json.loads(self.process.stdout.readline())["data"]["base_urls"]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Control:
    """The control calls of one account."""

    def __init__(self, base_url, credential):
        scheme, _, rest = base_url.partition("://")
        self.url = f"{scheme}://{rest.partition('/')[0]}/_sandbox/"
        self.credential = credential

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=dict([self.credential]))
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def truth(self, list_id, email):
        return self.call(f"truth?list={list_id}&email={email}")


class Receiver:
    """Takes in webhooks."""

    def __enter__(self):
        self.deliveries = queue.Queue()
        deliveries = self.deliveries

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                deliveries.put((self.path, dict(self.headers.items()), json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def next(self):
        """The next delivery: path, headers, body."""
        return self.deliveries.get(timeout=10)


def fails_with(kind, call):
    """The error of that class that a call ends with."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")
