"""A small EC2 instance metadata service for test-guest, version 1 and 2.

usage: metadata_server.py ADDRESS PORT STATE.json LOG

STATE.json is read at every request: {"mode": "v1" | "optional" | "required", "instances": {client
address: {"instance-id", "name", "mac", "key", "user-data"}}}. "required" refuses reads without a
session token, "v1" knows no tokens. LOG gets one line per request: method, path, status."""

import http.server
import json
import sys

ADDRESS, PORT, STATE, LOG = sys.argv[1:]
VERSIONS = {"latest", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23"}


def items(address, instance):
    """All paths below one version, each with its text."""
    meta = {
        "ami-id": "ami-00000000000000001", "instance-id": instance["instance-id"],
        "instance-type": "test.small", "hostname": instance["name"],
        "local-hostname": instance["name"], "local-ipv4": address, "mac": instance["mac"],
        "placement/availability-zone": "test-1a", "security-groups": "default",
        "public-keys/0/openssh-key": instance["key"],
    }
    card = f"network/interfaces/macs/{instance['mac']}"
    meta |= {f"{card}/device-number": "0", f"{card}/mac": instance["mac"],
             f"{card}/local-ipv4s": address,
             f"{card}/subnet-ipv4-cidr-block": address.rsplit(".", 1)[0] + ".0/24"}
    all_items = {f"meta-data/{path}": text for path, text in meta.items()}
    document = {"instanceId": instance["instance-id"], "region": "test-1",
                "availabilityZone": "test-1a", "privateIp": address}
    all_items["dynamic/instance-identity/document"] = json.dumps(document)
    if instance["user-data"]:
        all_items["user-data"] = instance["user-data"]
    return all_items


def answer(path, all_items):
    """The text at `path`, or the list of what is below it; None for nothing."""
    path = path.strip("/")
    if path in all_items:
        return all_items[path]
    if path == "meta-data/public-keys":
        return "0=test"
    below = {item[len(path) + 1:] if path else item
             for item in all_items if not path or item.startswith(path + "/")}
    names = {name.split("/")[0] + ("/" if "/" in name else "") for name in below}
    return "\n".join(sorted(names)) or None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        state = json.load(open(STATE))
        if self.path != "/latest/api/token" or state["mode"] == "v1":
            return self.reply(404, "")
        if not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
            return self.reply(400, "")
        self.reply(200, self.token())

    def do_GET(self):
        state = json.load(open(STATE))
        instance = state["instances"].get(self.client_address[0])
        given = self.headers.get("X-aws-ec2-metadata-token")
        if state["mode"] == "required" and given != self.token():
            return self.reply(401, "")
        version, _, path = self.path.strip("/").partition("/")
        if not instance or version not in VERSIONS:
            return self.reply(404, "")
        text = answer(path, items(self.client_address[0], instance))
        self.reply(404 if text is None else 200, text or "")

    def token(self):
        return f"token-of-{self.client_address[0]}=="

    def reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *values):
        with open(LOG, "a") as file:
            file.write(f"{self.command} {self.path} {values[1] if len(values) > 1 else values}\n")


http.server.ThreadingHTTPServer((ADDRESS, int(PORT)), Handler).serve_forever()
