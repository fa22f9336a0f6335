"""A shop's server: sends three purchases to a gateway, and ends when it was told that all are recorded.

Usage: python3 shop.py [GATEWAY_PORT LISTENING_PORT]
"""

import json
import socket
import struct
import sys
import time

gateway, listening = map(int, sys.argv[1:] or (5000, 23457))
server = socket.create_server(("127.0.0.1", listening))  # the gateway's notifier connects to it
stream = socket.create_connection(("127.0.0.1", gateway)).makefile("rwb")


def ask(request):
    body = json.dumps(request).encode()
    stream.write(struct.pack(">H", len(body)) + body)
    stream.flush()
    (length,) = struct.unpack(">H", stream.read(2))
    return json.loads(stream.read(length))


waiting = set()
for order in ("order-1", "order-2", "order-3"):
    if ask({"action": "transaction_status", "tx_id": order})["status"] in ("included", "final"):
        print(f"{order}: recorded before")
        continue
    purchase = {"tx_id": order, "buyer": "alice", "seller": "shop", "asset_id": f"book of {order}"}
    purchase |= {"asset_name": "A book", "price": "12.34", "timestamp": "2026-11-21T01:02:03.456Z"}
    while (answer := ask({"action": "submit_purchase", "body": purchase}))["status"] == "failed":
        if answer["code"] != "no-chain":  # it was just started, and has not met a node yet
            sys.exit(f"{order}: {answer['code']}: {answer['message']}")
        time.sleep(0.1)
    waiting.add(order)  # again under the same tx_id, as after a broken connection, it would be the same purchase
    print(f"{order}: {answer['status']}")

while waiting:
    connection, _ = server.accept()
    with connection, connection.makefile("r", encoding="utf-8") as lines:
        block = json.loads(lines.readline())  # to close is to say: I have it, send the next
    for transaction in block.get("transactions", []):
        order = transaction["data"].get("tx_id")
        if order in waiting:
            waiting.remove(order)
            print(f"{order}: recorded in block {block['block_index']}")
