"""Compares ledgers with the file of the day that was played to them: what is recorded, and everybody's balance.

Usage: sum.py FILE.csv OPENING_BALANCE LEDGER...

The balances are summed up by decimal arithmetic from the CSV file alone; the ledgers are read by the sqlite3 command.
Prints {"lines", "balances", "differences"}.
"""

import collections
import csv
import decimal
import json
import subprocess
import sys

path, opening, *ledgers = sys.argv[1:]
differences = []


def query(ledger, sql):
    found = subprocess.run(["sqlite3", "-readonly", "-json", ledger, sql], capture_output=True, text=True, check=True)
    return json.loads(found.stdout or "[]")


with open(path, newline="", encoding="utf-8") as file:
    lines = list(csv.DictReader(file))

balances = collections.defaultdict(lambda: decimal.Decimal(opening))
expected = {}
for number, line in enumerate(lines, 1):
    paid = int(line["Quantity"]) * decimal.Decimal(line["UnitPrice"])
    customer = line["CustomerID"] or "guest"
    balances[customer] -= paid
    balances["shop"] += paid
    buyer, seller = (customer, "shop") if paid >= 0 else ("shop", customer)
    expected[f"{line['InvoiceNo']}-{number}"] = (buyer, seller, abs(paid))

for ledger in ledgers:
    rows = query(
        ledger,
        "SELECT data ->> 'tx_id' AS tx_id, from_user, to_user, CAST(amount AS TEXT) AS amount, status FROM transactions",
    )
    times = collections.Counter(row["tx_id"] for row in rows)
    for tx_id in sorted({*expected, *times}, key=str):
        if times[tx_id] != 1 or tx_id not in expected:
            differences.append(f"{ledger}: {tx_id} stands there {times[tx_id]} times")
    for row in rows:
        told = (row["from_user"], row["to_user"], decimal.Decimal(row["amount"] or 0))
        if row["status"] == "pending" or told != expected.get(row["tx_id"]):
            differences.append(f"{ledger}: {row}, expected {expected.get(row['tx_id'])}")
    users = query(ledger, "SELECT username, CAST(balance AS TEXT) AS balance FROM users")
    told = {row["username"]: decimal.Decimal(row["balance"]) for row in users}
    for name in sorted({*told, *balances}):
        if told.get(name) != balances.get(name):
            differences.append(f"{ledger}: {name} has {told.get(name)}, expected {balances.get(name)}")
    owners = query(ledger, "SELECT asset_id, owner FROM assets")
    bought = {tx_id: buyer for tx_id, (buyer, seller, _) in expected.items() if seller == "shop"}
    if {row["asset_id"]: row["owner"] for row in owners} != bought:
        differences.append(f"{ledger}: assets: {len(owners)}, expected {len(bought)}")

total = {name: str(balance) for name, balance in sorted(balances.items())}
print(json.dumps({"lines": len(lines), "balances": total, "differences": differences[:20]}))
