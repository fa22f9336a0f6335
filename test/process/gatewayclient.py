"""A shop's client of a gateway, written from the protocol's section 6 alone: struct, socket, json.

Usage: gatewayclient.py PORT. Prints one JSON object; any failed expectation ends it with a traceback.
"""

import json
import socket
import struct
import sys
import threading
import time

port = int(sys.argv[1])


def connected():
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def frame(body):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return struct.pack(">H", len(body)) + body


def exactly(connection, count):
    received = b""
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        assert chunk, f"closed after {received!r}, expected {count} bytes"
        received += chunk
    return received


def read(connection):
    (length,) = struct.unpack(">H", exactly(connection, 2))
    return json.loads(exactly(connection, length))


def ask(request):
    with connected() as connection:
        connection.sendall(frame(request))
        return read(connection)


def failed(answer, code, field=""):
    assert answer["status"] == "failed" and answer["code"] == code, answer
    assert field in answer["message"], answer
    return answer


def purchase(**changes):
    body = {
        "tx_id": "order-1",
        "buyer": "alice",
        "seller": "bob",
        "asset_id": "book-1",
        "asset_name": "A book, 5 \u20ac",
        "price": 12.34,
        "timestamp": "2026-11-21T01:02:03.456Z",
    }
    body.update(changes)
    return {"action": "submit_purchase", "body": {name: value for name, value in body.items() if value is not None}}


def wait_until(fact, what):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        value = fact()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within 20 s: {what}")


# Health, and what nobody knows.
health = ask({"action": "health"})
assert health["status"] == "ok" and health["service"] == "gateway_server", health
assert len(health["chain_id"]) == 64, health
failed(ask({"action": "helth"}), "unknown-action", "did you mean health?")
failed(ask({}), "bad-request", "action")

# A purchase, once; the same again is the same; another one under its name is not.
first = ask(purchase())
assert first["status"] == "submitted" and first["nodes_reached"] >= 1, first
assert first["message"], first
transaction = first["transaction"]
assert set(transaction) >= {"sender", "data", "signature"} and transaction["sender"] == "alice", transaction
assert transaction["data"] == {
    "action": "purchase",
    "tx_id": "order-1",
    "asset_id": "book-1",
    "asset_name": "A book, 5 \u20ac",
    "price": "12.34",
    "from": "alice",
    "to": "bob",
    "amount": "12.34",
    "timestamp": "2026-11-21T01:02:03.456Z",
}, transaction
again = ask(purchase())
assert again["transaction"] == transaction and again["tx_hash"] == first["tx_hash"], again
failed(ask(purchase(seller="carol")), "conflict", "tx_id")


def included():
    status = ask({"action": "transaction_status", "tx_id": "order-1"})
    return status if status["status"] in ("included", "final") else None


status = wait_until(included, "the purchase is in a block")
assert status["block_index"] >= 1 and status["confirmations"] >= 1, status
by_hash = ask({"action": "transaction_status", "tx_hash": first["tx_hash"]})
assert by_hash["block_index"] == status["block_index"], by_hash
unknown = ask({"action": "transaction_status", "tx_hash": "ab" * 32})
assert unknown["status"] == "unknown", unknown

# What is missing or out of form is named.
for field in ("tx_id", "buyer", "seller", "asset_id", "asset_name", "price", "timestamp"):
    answer = ask(purchase(**{"tx_id": "order-x", field: None}))
    assert answer["status"] == "failed" and field in answer["message"], (field, answer)
for price in (12.345678901, "12.345678901", 1e-9, -1, True):
    answer = ask(purchase(tx_id="order-y", price=price))
    assert answer["status"] == "failed" and "price" in answer["message"], (price, answer)
failed(ask({"action": "submit_purchase"}), "bad-request", "body")
failed(ask({"action": "transaction_status"}), "bad-request", "tx_hash")
answer = ask({"action": "submit_transaction", "body": {"sender": "alice", "data": {"n": 1}}})
assert answer["status"] == "failed" and answer["code"], answer
answer = ask({"action": "submit_transaction", "body": {"sender": "alice", "data": {"n": 1}, "signature": "SIG_x"}})
assert answer["status"] == "failed" and answer["code"], answer

# Two requests in one write, one byte a write: one answer each, in order, on one connection.
with connected() as connection:
    connection.sendall(frame({"action": "health", "request_id": "one"}) + frame({"action": "no", "request_id": "two"}))
    assert read(connection)["request_id"] == "one"
    assert failed(read(connection), "unknown-action")["request_id"] == "two"
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in frame({"action": "health", "request_id": 3}):
        connection.sendall(bytes([byte]))
        time.sleep(0.001)
    assert read(connection)["request_id"] == 3
    # A length of 0, and bodies that are no object: the connection goes on.
    connection.sendall(struct.pack(">H", 0))
    failed(read(connection), "empty")
    for body in (b"[]", b"{", b'{"action":"health","action":"health"}', b"\xff\xfe", b"[" * 60_000):
        connection.sendall(frame(body))
        assert read(connection)["status"] == "failed", body
    connection.sendall(frame({"action": "health"}))
    assert read(connection)["status"] == "ok"

# The same body 50 times at once, on 50 connections: one purchase, one answer.
same = purchase(tx_id="order-same", buyer="zo\u00eb \u2603", price="0.00000001")
answers = []
threads = [threading.Thread(target=lambda: answers.append(ask(same))) for _ in range(50)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(answers) == 50 and all(answer == answers[0] for answer in answers), answers
assert answers[0]["status"] == "submitted", answers[0]

# 1,000 requests in one write: good ones, the same again, another one under its name, and rubbish; all in their order.
kinds = [
    (lambda n: purchase(tx_id=f"many-{n // 4}"), "submitted"),
    (lambda n: purchase(tx_id=f"many-{n // 4}"), "submitted"),
    (lambda n: purchase(tx_id=f"many-{n // 4}", price="1"), "conflict"),
    (lambda n: purchase(tx_id=f"many-{n // 4}", price=-1), "bad-purchase"),
]
with connected() as connection:
    requests = [{**kinds[n % 4][0](n), "request_id": n} for n in range(1_000)]
    connection.sendall(b"".join(map(frame, requests)))
    for n in range(1_000):
        answer = read(connection)
        assert answer["request_id"] == n, (n, answer)
        assert kinds[n % 4][1] in (answer["status"], answer.get("code")), (n, answer)

# What has no prefix is told what was taken for one.
with connected() as connection:
    connection.sendall(b'{"action":"health"}')
    connection.shutdown(socket.SHUT_WR)
    assert 'the text "{\\""' in failed(read(connection), "short-body")["message"]

# The longest body that there is.
around = len(json.dumps({"action": "health", "pad": ""}))
assert ask({"action": "health", "pad": "x" * (65_535 - around)})["status"] == "ok"

# An answer that its prefix could not say is an error; the purchase is not made then, or known by its hash.
room = 65_535 - len(json.dumps(purchase(tx_id="order-long", asset_name="")))
answer = ask(purchase(tx_id="order-long", asset_name="x" * room))
assert answer["status"] == "failed" and answer["code"], answer
status = ask({"action": "transaction_status", "tx_id": "order-long"})
assert (status["status"] == "unknown") == ("tx_hash" not in answer), (answer, status)

# A short body, then the client is done: told, and closed. What was asked before is answered.
with connected() as connection:
    connection.sendall(frame({"action": "health"}) + struct.pack(">H", 100) + b"{")
    connection.shutdown(socket.SHUT_WR)
    assert read(connection)["status"] == "ok"
    failed(read(connection), "short-body")
    assert connection.recv(1) == b""

# A short body, and nothing more: cut by time, with a code. Others are served meanwhile.
with connected() as connection:
    began = time.monotonic()
    connection.sendall(struct.pack(">H", 100) + b"{")
    assert ask({"action": "health"})["status"] == "ok"
    failed(read(connection), "too-slow")
    assert connection.recv(1) == b""
    waited = time.monotonic() - began

# A confirmation that nobody signed, and a make-believe signature.
news = {
    "type": "block_confirmation",
    "block_index": 1,
    "block_hash": "ab" * 32,
    "miner_id": "node-1",
    "node_id": "d0b1ab8e-6a34-81de-8a57-cdd1b8f1a001",
    "timestamp": "2026-11-21T01:02:03.456Z",
}
failed(ask(news), "unsigned", "signature")
answer = ask({**news, "signature": "SIG_node-1_" + "ab" * 32})
assert answer["status"] == "failed", answer

print(json.dumps({"waited": waited}))
