"""A peer that shares no code with the node: Python's standard library and the openssl command, from the wire's text alone.

Usage: strangerpeer.py PORT. Prints one line as soon as it listens, {"listening": port}: somebody starts a node that is
told of that port. Shakes hands in both directions, reads the chain, announces and fetches transactions, is sent a block,
and is turned away with the right code when it should be. Prints one JSON object at the end; any failed expectation
ends it with a traceback.
"""

import base64
import hashlib
import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time

port = int(sys.argv[1])
folder = tempfile.mkdtemp()
seconds_max = 20


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def canonical(value):
    """RFC 8785, as far as these values need it: ASCII names, integers, strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def node_id_of(raw):
    unique = bytearray(hashlib.sha256(raw).digest()[:16])
    unique[6] = unique[6] & 0x0F | 0x80
    unique[8] = unique[8] & 0x3F | 0x80
    hexed = bytes(unique).hex()
    return f"{hexed[:8]}-{hexed[8:12]}-{hexed[12:16]}-{hexed[16:20]}-{hexed[20:]}"


class Key:
    def __init__(self, name):
        self.path = f"{folder}/{name}.pem"
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.path)
        raw = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-32:]
        self.pem = openssl("pkey", "-in", self.path, "-pubout").decode()
        self.address = raw.hex()
        self.node_id = node_id_of(raw)

    def sign(self, text):
        with open(f"{folder}/text", "wb") as file:
            file.write(text.encode())
        return base64.b64encode(
            openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", f"{folder}/text")
        ).decode()


def verifies(pem, text, signature):
    for name, content in (("text", text.encode()), ("sig", base64.b64decode(signature)), ("pem", pem.encode())):
        with open(f"{folder}/{name}", "wb") as file:
            file.write(content)
    arguments = ["-verify", "-pubin", "-inkey", f"{folder}/pem", "-rawin", "-in", f"{folder}/text", "-sigfile", f"{folder}/sig"]
    return subprocess.run(["openssl", "pkeyutl", *arguments], capture_output=True).returncode == 0


class Line:
    """One connection: a JSON object a line. Pings are answered whenever they come; the rest waits until it is read."""

    def __init__(self, connection):
        self.connection = connection
        self.incoming = queue.Queue()
        threading.Thread(target=self.listen, args=(connection.makefile("rb"),), daemon=True).start()

    def listen(self, lines):
        try:
            for line in lines:
                message = json.loads(line)
                if message["type"] == "ping":
                    self.send({"type": "pong", "node_id": "stranger", "request_id": message["request_id"]})
                else:
                    self.incoming.put(message)
        except OSError:
            pass
        self.incoming.put(None)

    def send(self, message):
        self.connection.sendall(json.dumps(message).encode() + b"\n")

    def read(self):
        """The next message; None at the end."""
        return self.incoming.get(timeout=seconds_max)

    def expect(self, *types, where=lambda message: True):
        """The next message of one of these types. Whatever else a peer is told or asked is not this test's."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            message = self.read()
            assert message is not None, f"closed while waiting for {types}"
            if message["type"] in types and where(message):
                return message
            assert message["type"] != "ERROR", message
        raise AssertionError(f"not within {seconds_max} s: {types}")

    def ends(self):
        while self.read() is not None:
            pass

    def close(self):
        self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def dial():
    return Line(socket.create_connection(("127.0.0.1", port), timeout=seconds_max))


def ask_as_client(message):
    line = dial()
    line.send(message)
    answer = line.read()
    line.close()
    return answer


def greeting(key, challenge, **other):
    return {
        "type": "handshake", "version": 1, "chain_id": chain_id, "height": 0, "node_type": "full", "listen_addr": "",
        "node_id": key.node_id, "public_key_pem": key.pem, "challenge": challenge, **other,
    }


def fresh_challenge():
    return os.urandom(32).hex()


def check_proof(theirs, ack, text):
    assert ack["type"] == "handshake_ack", ack
    assert theirs["version"] == 1 and theirs["chain_id"] == chain_id, theirs
    raw = subprocess.run(
        ["openssl", "pkey", "-pubin", "-pubout", "-outform", "DER"],
        input=theirs["public_key_pem"].encode(), capture_output=True, check=True,
    ).stdout[-32:]
    assert theirs["node_id"] == node_id_of(raw), theirs
    assert verifies(theirs["public_key_pem"], text, ack["signature"]), ack


def shake_hands(key):
    """As the opener."""
    line = dial()
    own = fresh_challenge()
    line.send(greeting(key, own))
    theirs = line.read()
    assert theirs["type"] == "handshake", theirs
    text = "aurex/handshake/1\n" + own + theirs["challenge"]
    line.send({"type": "handshake_ack", "signature": key.sign(text)})
    check_proof(theirs, line.read(), text)
    return line, theirs


def refused(code, **other):
    """A handshake that is refused when it is read."""
    line = dial()
    line.send(greeting(stranger, fresh_challenge(), **other))
    answer = line.read()
    while answer is not None and answer["type"] in ("handshake", "handshake_ack"):
        answer = line.read()
    assert answer is not None and answer["type"] == "ERROR" and answer["code"] == code, (code, answer)
    line.ends()
    codes.append(code)


def refused_proof(code, prove):
    """A handshake that is refused for its proof."""
    line = dial()
    own = fresh_challenge()
    line.send(greeting(stranger, own))
    theirs = line.read()
    line.send({"type": "handshake_ack", "signature": prove(own, theirs["challenge"])})
    answer = line.read()
    while answer is not None and answer["type"] == "handshake_ack":
        answer = line.read()
    assert answer is not None and answer["type"] == "ERROR" and answer["code"] == code, (code, answer)
    line.ends()
    codes.append(code)


def transaction(key, data):
    text = "aurex/tx/1\n" + canonical({"chain_id": chain_id, "data": data, "sender": key.address})
    message = {"type": "NEW_TRANSACTION", "sender": key.address, "data": data, "signature": key.sign(text)}
    return message, hashlib.sha256(text.encode()).hexdigest()


def wait_for_block(tx_hash):
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        status = ask_as_client({"type": "transaction_status", "tx_hash": tx_hash})
        if status["status"] == "included":
            return status
        time.sleep(0.05)
    raise AssertionError(f"not recorded within {seconds_max} s: {tx_hash}")


def check_header(header):
    unhashed = ("current_hash", "nonce", "signature", "certificate", "transactions")
    hashed = {name: value for name, value in header.items() if name not in unhashed}
    digest = hashlib.sha256((canonical(hashed) + str(header["nonce"])).encode()).hexdigest()
    assert digest == header["current_hash"], header
    assert int(digest, 16) < 2**256 // header["work"], header


listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(seconds_max)
print(json.dumps({"listening": listener.getsockname()[1]}), flush=True)

codes = []
pong = ask_as_client({"type": "ping"})
chain_id = pong["chain_id"]
stranger, other, client = Key("stranger"), Key("other"), Key("client")

# A few blocks, so that there is something to read.
recorded = []
for n in range(3):
    message, tx_hash = transaction(client, {"before": n})
    assert ask_as_client(message)["tx_hash"] == tx_hash
    wait_for_block(tx_hash)
    recorded.append(tx_hash)

# ---- what is refused, and why --------------------------------------------------------------------------------------

refused("wrong-chain", chain_id="0" * 64)
refused("wrong-version", version=2)
refused("self", node_id=pong["node_id"], public_key_pem=ask_as_client(greeting(stranger, fresh_challenge()))["public_key_pem"])
refused("bad-signature", node_id=other.node_id)
refused_proof("bad-signature", lambda own, theirs: other.sign("aurex/handshake/1\n" + own + theirs))
refused_proof("bad-signature", lambda own, theirs: stranger.sign("aurex/handshake/1\n" + theirs + own))
refused_proof("bad-signature", lambda own, theirs: stranger.sign("aurex/tx/1\n" + own + theirs))
# Threats row 18: a proof that was good once, sent again.
line, _ = shake_hands(stranger)
line.close()
replayed = stranger.sign("aurex/handshake/1\n" + fresh_challenge() + fresh_challenge())
refused_proof("bad-signature", lambda own, theirs: replayed)

# ---- as the opener -------------------------------------------------------------------------------------------------

peer, theirs = shake_hands(stranger)
assert theirs["node_id"] == pong["node_id"], theirs

# The same node twice.
line = dial()
own = fresh_challenge()
line.send(greeting(stranger, own))
answer = line.read()
if answer["type"] == "handshake":
    line.send({"type": "handshake_ack", "signature": stranger.sign("aurex/handshake/1\n" + own + answer["challenge"])})
    while answer["type"] in ("handshake", "handshake_ack"):
        answer = line.read()
assert answer["type"] == "ERROR" and answer["code"] == "duplicate", answer
line.ends()
codes.append("duplicate")

# Headers first, then bodies.
peer.send({"type": "header_request", "locator": [chain_id], "request_id": 11})
headers = peer.expect("header_response", where=lambda message: message.get("request_id") == 11)["headers"]
assert [header["index"] for header in headers] == list(range(1, len(headers) + 1)) and len(headers) >= 3, headers
below = chain_id
for header in headers:
    assert header["prev_hash"] == below, header
    assert "transactions" not in header, header
    check_header(header)
    below = header["current_hash"]
peer.send({"type": "block_request", "from": 1, "to": len(headers), "request_id": 12})
blocks = peer.expect("block_response", where=lambda message: message.get("request_id") == 12)["blocks"]
assert [block["current_hash"] for block in blocks] == [header["current_hash"] for header in headers]
peer.send({"type": "block_request", "hash": below, "request_id": 13})
assert peer.expect("block_response", where=lambda message: message.get("request_id") == 13)["blocks"] == [blocks[-1]]
# A locator that ends below: what is above the highest that both have.
peer.send({"type": "header_request", "locator": ["f" * 64, headers[1]["current_hash"], chain_id], "request_id": 14})
above = peer.expect("header_response", where=lambda message: message.get("request_id") == 14)["headers"]
assert above[0]["index"] == 3, above

# It is told of peers, as texts.
peer.send({"type": "peer_list"})
addresses = peer.expect("peer_list", where=lambda message: "peers" in message)["peers"]
assert all(isinstance(address, str) for address in addresses), addresses

# A transaction that the stranger has: announced by its id, asked for, given once, recorded.
given, given_hash = transaction(client, {"given": "to the stranger"})
peer.send({"type": "tx_announce", "hashes": [given_hash]})
wanted = peer.expect("tx_request", where=lambda message: given_hash in message["hashes"])
assert wanted["hashes"] == [given_hash], wanted
peer.send(given)
wait_for_block(given_hash)

# The block in which one is recorded comes whole, since the stranger said of no extra that it understands it.
told, told_hash = transaction(client, {"given": "to the node"})
assert ask_as_client(told)["tx_hash"] == told_hash
while True:
    message = peer.expect("new_block")
    check_header(message["data"])
    assert message["node_id"] == theirs["node_id"], message
    if any(one["data"] == told["data"] for one in message["data"]["transactions"]):
        break

# ---- as the answerer -----------------------------------------------------------------------------------------------

connection, _ = listener.accept()
dialled = Line(connection)
theirs = dialled.read()
# Nothing is sent before the handshake.
assert theirs["type"] == "handshake", theirs
assert theirs["node_id"] != pong["node_id"], theirs
own = fresh_challenge()
dialled.send(greeting(other, own))
text = "aurex/handshake/1\n" + theirs["challenge"] + own
dialled.send({"type": "handshake_ack", "signature": other.sign(text)})
check_proof(theirs, dialled.expect("handshake_ack"), text)
dialled.send({"type": "ping", "request_id": 21})
answer = dialled.expect("pong", where=lambda message: message.get("request_id") == 21)
assert answer["node_id"] == theirs["node_id"], answer

# This node mines nothing, so that what is pending stays pending. One from the stranger: announced, asked for, given.
port = int(theirs["listen_addr"].rpartition(":")[2])
given, given_hash = transaction(client, {"given": "to whom it dialled"})
dialled.send({"type": "tx_announce", "hashes": [given_hash]})
assert dialled.expect("tx_request")["hashes"] == [given_hash]
dialled.send(given)

# One from a client of the node: announced to the stranger, asked for, sent as it was signed. Its own is not.
told, told_hash = transaction(client, {"given": "to the node"})
assert ask_as_client(told)["tx_hash"] == told_hash
assert dialled.expect("tx_announce")["hashes"] == [told_hash]
dialled.send({"type": "tx_request", "hashes": [told_hash]})
fetched = dialled.expect("NEW_TRANSACTION")
assert {name: fetched[name] for name in ("sender", "data", "signature")} == {
    name: told[name] for name in ("sender", "data", "signature")
}, fetched
status = ask_as_client({"type": "transaction_status", "tx_hash": given_hash})
assert status["status"] == "pending", status

print(json.dumps({"codes": sorted(set(codes)), "headers": len(headers), "dialled_by": theirs["node_id"]}))
