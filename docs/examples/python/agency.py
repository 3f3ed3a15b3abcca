#!/usr/bin/env python3
"""An agency's system at its gxbus node, with Python's standard library alone.

    export NODE=https://10.0.1.1:8440 CA=ca.crt TOKEN=gxs_…
    python3 agency.py publish    # the provider's system publishes an event
    python3 agency.py pull       # the consumer's system subscribes, and pulls until it is stopped
    python3 agency.py query      # the consumer's system asks for data

    export SECRET=… ENDPOINT=http://10.0.2.7:8480/events    # where the node reaches this machine
    python3 agency.py webhook    # events are brought instead
"""

import base64
import datetime
import hashlib
import hmac
import http.server
import json
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

NODE, TOKEN = os.environ["NODE"], os.environ["TOKEN"]
TLS = ssl.create_default_context(cafile=os.environ["CA"])
RESOURCE = "enterprise-registration"
SUBSCRIPTION = GRANT = "tianhe-registration"


class Problem(Exception):
    """What the node answered in place of what was asked for (RFC 9457)."""

    def __init__(self, status, body):
        try:
            self.code = json.loads(body)["code"]
        except (ValueError, KeyError):
            self.code = ""
        super().__init__(f"{status} {body.decode(errors='replace')}")


def call(method, path, body=None, media="application/json", **headers):
    """Asks the node, and asks again where it was not reached or is busy. All that is
    asked here may be asked twice: events by their id, writes by their Idempotency-Key."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers |= {"Authorization": "Bearer " + TOKEN, "Idempotency-Key": str(uuid.uuid4())}
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), media
    for attempt in range(5):
        try:
            request = urllib.request.Request(NODE + "/api/v1/" + path, data, headers, method=method)
            with urllib.request.urlopen(request, context=TLS, timeout=60) as answer:
                text = answer.read()
                return json.loads(text) if text else None, answer.headers
        except urllib.error.HTTPError as refusal:
            problem = Problem(refusal.code, refusal.read())
            if refusal.code not in (429, 503) or attempt == 4:
                raise problem from None
            time.sleep(float(refusal.headers.get("Retry-After", 2**attempt)))
        except OSError:
            if attempt == 4:
                raise
            time.sleep(2**attempt)


def publish():
    event = {
        "specversion": "1.0",
        "id": f"registration-{uuid.uuid4()}",  # keep it: published again, the event is taken once
        "source": "/systems/market-registry",
        "type": "cn.gov.sample.enterprise.registered.v1",
        "subject": "样例企业",
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "data": {"enterprise_name": "样例企业有限公司", "phone": "19900000001"},
    }
    answer, _ = call("POST", f"resources/{RESOURCE}/events", event, "application/cloudevents+json")
    print(answer["receipts"])


def subscribe():
    wanted = {"resource": RESOURCE, "grant": GRANT, "purpose": "verification"}
    try:
        call("PUT", f"subscriptions/{SUBSCRIPTION}", wanted, If_None_Match="*")
    except Problem as problem:
        if problem.code != "already-exists":
            raise


def process(event):
    """Here the event goes into your database, in one transaction with (source, id): one
    that you have already is passed over."""
    print(event["id"], event["type"], event.get("subject"), event["data"], flush=True)


def pull():
    subscribe()
    while True:
        events, headers = call("GET", f"subscriptions/{SUBSCRIPTION}/events?limit=100&wait=30")
        for event in events:
            process(event)
        if events:  # only now: what is not acknowledged comes again
            call("POST", f"subscriptions/{SUBSCRIPTION}/ack", {"last": int(headers["Gxbus-Last"])})


def webhook():
    subscribe()
    secret, endpoint = os.environ["SECRET"], os.environ["ENDPOINT"]
    server = http.server.ThreadingHTTPServer(("", urllib.parse.urlsplit(endpoint).port), Endpoint)
    threading.Thread(target=server.serve_forever).start()  # first: the node asks it at once
    sink, _ = call("PUT", f"subscriptions/{SUBSCRIPTION}/sink", {"url": endpoint, "secret": secret})
    if not sink["active"]:
        server.shutdown()
        sys.exit("the node does not deliver: " + sink["why"])


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_OPTIONS(self):
        """The node asks whether it may deliver (HTTP 1.1 Web Hooks for Event Delivery)."""
        self.answer(200, self.headers["WebHook-Request-Origin"])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not signed(self.headers, body):
            return self.answer(401)
        process(json.loads(body))
        self.answer(200)  # only now: what is not answered so comes again

    def answer(self, status, origin=None):
        self.send_response(status)
        if origin:
            self.send_header("WebHook-Allowed-Origin", origin)
        self.send_header("Content-Length", "0")
        self.end_headers()


def signed(headers, body):
    """Whether the node sent this, within five minutes (Standard Webhooks)."""
    name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    mac = hmac.new(os.environ["SECRET"].encode(), f"{name}.{at}.".encode() + body, hashlib.sha256)
    expected = "v1," + base64.b64encode(mac.digest()).decode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one, expected) for one in given) and abs(time.time() - int(at)) < 300


def query():
    asked = {
        "grant": GRANT, "purpose": "verification", "matter": "440106001000", "case": "2026-000123",
        "parameters": {"uscc": "91440300MA5SAMPLE1"},
    }
    answer, _ = call("POST", f"resources/{RESOURCE}/query", asked)
    print(answer["data"])


if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in ("publish", "pull", "webhook", "query")]:
        sys.exit("usage: agency.py publish|pull|webhook|query")
    globals()[sys.argv[1]]()
