"""A client that shares no code with the node: Python's standard library and the openssl command.

Makes a key, signs transactions as the protocol says, submits one in each of the three framings, and reads the
ledger file. Usage: stranger.py PORT LEDGER. Prints one JSON object; any failed expectation ends it with a traceback.
"""

import base64
import hashlib
import json
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

port, ledger = int(sys.argv[1]), sys.argv[2]
folder = tempfile.mkdtemp()
key = f"{folder}/key.pem"


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def canonical(value):
    """RFC 8785, as far as these values need it: ASCII names, integers, strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sign(text):
    with open(f"{folder}/text", "wb") as file:
        file.write(text.encode())
    signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", f"{folder}/text")
    return base64.b64encode(signature).decode()


def transaction(chain_id, sender, data, **extra):
    signed = {"chain_id": chain_id, "data": data, "sender": sender}
    if "nonce" in extra:
        signed["nonce"] = extra["nonce"]
    text = "aurex/tx/1\n" + canonical(signed)
    message = {"type": "NEW_TRANSACTION", "sender": sender, "data": data, "signature": sign(text), **extra}
    return message, hashlib.sha256(text.encode()).hexdigest()


def read_line(connection):
    received = b""
    while not received.endswith(b"\n"):
        chunk = connection.recv(65536)
        assert chunk, f"closed after {received!r}"
        received += chunk
    return json.loads(received)


def ask(message, framing):
    """One connection, one message, ended in one of the three ways."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(json.dumps(message).encode() + (b"\n" if framing == "newline" else b""))
        if framing == "half-close":
            connection.shutdown(socket.SHUT_WR)
        return read_line(connection)


def wait_until(fact, what):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        value = fact()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within 20 s: {what}")


openssl("genpkey", "-algorithm", "ed25519", "-out", key)
raw = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")[-32:]
address = raw.hex()
public_pem = openssl("pkey", "-in", key, "-pubout").decode()

pong = ask({"type": "ping"}, "newline")
assert pong["type"] == "pong", pong
chain_id = pong["chain_id"]

submitted = {}
for framing in ("newline", "half-close", "silence"):
    message, tx_hash = transaction(chain_id, address, {"framing": framing, "text": "Käse, 5 \u20ac"})
    answer = ask(message, framing)
    assert answer["type"] == "MINING_STARTED", answer
    assert answer["tx_hash"] == tx_hash, (answer, tx_hash)
    assert answer["miner"] == pong["node_id"], answer
    submitted[tx_hash] = message

# A name as the sender, with the key that signs for it (a development chain takes any).
message, tx_hash = transaction(chain_id, "alice@example.com", {"note": "by name"}, nonce=7, public_key_pem=public_pem)
assert ask(message, "newline")["tx_hash"] == tx_hash
submitted[tx_hash] = message

# The same again changes nothing.
assert ask(message, "newline")["tx_hash"] == tx_hash

# What is wrong is refused, with a code.
forged = dict(message, data={"note": "forged"})
refused = ask(forged, "newline")
assert refused["type"] == "ERROR" and refused["code"] == "bad-signature", refused

rows = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
rows.row_factory = sqlite3.Row


def committed():
    marks = ",".join("?" * len(submitted))
    query = f"SELECT * FROM transactions WHERE status = 'committed' AND tx_hash IN ({marks})"
    found = rows.execute(query, list(submitted)).fetchall()
    return found if len(found) == len(submitted) else None


for row in wait_until(committed, "all transactions committed"):
    message = submitted[row["tx_hash"]]
    assert row["sender"] == message["sender"]
    assert json.loads(row["data"]) == message["data"]
    assert row["signature"] == message["signature"]
    assert row["start_timestamp"] <= row["end_timestamp"] and row["end_timestamp"].endswith("Z")

blocks = rows.execute('SELECT * FROM blocks ORDER BY "index"').fetchall()
assert blocks[0]["current_hash"] == chain_id and blocks[0]["prev_hash"] == "0" * 64
for below, block in zip(blocks, blocks[1:]):
    assert block["index"] == below["index"] + 1 and block["prev_hash"] == below["current_hash"]
    zeros = int(block["difficulty"])
    assert block["current_hash"].startswith("0" * zeros), dict(block)

# The table of nodes starts with this one; the nonce ranges that were handed out are on record.
(node,) = rows.execute("SELECT * FROM nodes").fetchall()
assert (node["node_id"], node["host"], node["port"], node["status"]) == (pong["node_id"], "127.0.0.1", port, "active")
ranges = rows.execute("SELECT * FROM mining_pool WHERE completed = 1 AND solution_nonce IS NOT NULL").fetchall()
assert {block["nonce"] for block in blocks[1:]} <= {found["solution_nonce"] for found in ranges}
listed = ask({"type": "node_discovery"}, "newline")
assert listed == {"type": "node_list", "nodes": [{"node_id": pong["node_id"], "host": "127.0.0.1", "port": port}]}, listed

# A block over the wire: hash, key and signature recomputed from the protocol's text alone.
answer = ask({"type": "block_request", "hash": blocks[-1]["current_hash"], "request_id": 1}, "newline")
block = answer["blocks"][0]
unhashed = ("current_hash", "nonce", "signature", "certificate", "transactions")
header = {name: value for name, value in block.items() if name not in unhashed}
digest = hashlib.sha256((canonical(header) + str(block["nonce"])).encode()).hexdigest()
assert digest == block["current_hash"], (digest, block["current_hash"])
assert int(digest, 16) < 2**256 // block["work"]
miner = subprocess.run(
    ["openssl", "pkey", "-pubin", "-pubout", "-outform", "DER"],
    input=block["public_key_pem"].encode(), capture_output=True, check=True,
).stdout[-32:]
unique = bytearray(hashlib.sha256(miner).digest()[:16])
unique[6] = unique[6] & 0x0F | 0x80
unique[8] = unique[8] & 0x3F | 0x80
hexed = bytes(unique).hex()
assert block["miner_id"] == f"{hexed[:8]}-{hexed[8:12]}-{hexed[12:16]}-{hexed[16:20]}-{hexed[20:]}"
for name, content in (("text", f"aurex/block/1\n{digest}".encode()), ("sig", base64.b64decode(block["signature"])), ("pem", block["public_key_pem"].encode())):
    with open(f"{folder}/{name}", "wb") as file:
        file.write(content)
openssl("pkeyutl", "-verify", "-pubin", "-inkey", f"{folder}/pem", "-rawin", "-in", f"{folder}/text", "-sigfile", f"{folder}/sig")

print(json.dumps({"transactions": len(submitted), "blocks": len(blocks) - 1}))
