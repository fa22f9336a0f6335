"""Plays the day of a shop to a gateway: each line of a CSV file is a purchase, a negative quantity is a return.

Usage: replay.py FILE.csv HOST PORT [SECONDS_BETWEEN_LINES]

What was sent when a connection breaks is sent again under the same tx_id until it is answered. Prints one JSON line for
each line of the file, and a summary: {"lines", "taken", "refused", "retries"}. Written from the protocol alone.
"""

import csv
import decimal
import json
import socket
import struct
import sys
import time

# What says only: not now.
LATER = {"unreachable", "no-chain", "mempool-full", "queue-full", "storage-unavailable", "busy", "stopping"}


def frame(message):
    body = json.dumps(message).encode()
    return struct.pack(">H", len(body)) + body


def receive(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError("the gateway closed the connection")
        data += more
    return data


class Gateway:
    def __init__(self, host, port):
        self.address = (host, port)
        self.connection = None
        self.retries = 0

    def ask_once(self, message):
        if self.connection is None:
            self.connection = socket.create_connection(self.address, timeout=30)
        self.connection.sendall(frame(message))
        (length,) = struct.unpack(">H", receive(self.connection, 2))
        return json.loads(receive(self.connection, length))

    def ask(self, message):
        while True:
            try:
                answer = self.ask_once(message)
                if answer["status"] != "failed" or answer.get("code") not in LATER:
                    return answer
            except OSError as error:
                print(f"{error!r}; again", file=sys.stderr, flush=True)
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
            self.retries += 1
            time.sleep(0.3)


def request(number, line):
    quantity, customer = int(line["Quantity"]), line["CustomerID"] or "guest"
    amount = str(abs(quantity) * decimal.Decimal(line["UnitPrice"]))
    tx_id = f"{line['InvoiceNo']}-{number}"
    timestamp = line["InvoiceDate"].replace(" ", "T") + ".000Z"
    if quantity < 0:
        data = {
            "action": "transfer",
            "tx_id": tx_id,
            "from": "shop",
            "to": customer,
            "amount": amount,
            "timestamp": timestamp,
        }
        return tx_id, {"action": "submit_transaction", "body": {"sender": "shop", "data": data}}
    body = {
        "tx_id": tx_id,
        "buyer": customer,
        "seller": "shop",
        "asset_id": tx_id,
        "asset_name": line["Description"],
        "price": amount,
        "timestamp": timestamp,
    }
    return tx_id, {"action": "submit_purchase", "body": body}


def main(path, host, port, pause="0"):
    gateway, taken, refused = Gateway(host, int(port)), 0, 0
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for number, line in enumerate(lines, 1):
        tx_id, message = request(number, line)
        answer = gateway.ask(message)
        if answer["status"] == "failed":
            refused += 1
        else:
            taken += 1
        print(json.dumps({"tx_id": tx_id, **answer}), flush=True)
        time.sleep(float(pause))
    print(json.dumps({"lines": len(lines), "taken": taken, "refused": refused, "retries": gateway.retries}))


main(*sys.argv[1:])
