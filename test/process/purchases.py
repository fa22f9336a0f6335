"""Compares a ledger with the file that was submitted to it, line by line and in its sums. Python's own csv and decimal.

Usage: purchases.py FILE.csv LEDGER. Prints {"lines", "sum", "differences"}.
"""

import collections
import csv
import decimal
import json
import sqlite3
import sys

with open(sys.argv[1], newline="", encoding="utf-8") as file:
    lines = list(csv.DictReader(file))
rows = sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True).execute(
    "SELECT data, nonce, block_hash, status FROM transactions"
).fetchall()

differences = []
expected = collections.Counter(json.dumps(line, sort_keys=True) for line in lines)
recorded = collections.Counter(json.dumps(json.loads(data), sort_keys=True) for data, *_ in rows)
for line, count in ((expected - recorded) + (recorded - expected)).items():
    differences.append([line, count])
for data, nonce, block_hash, status in rows:
    if status != "committed" or len(block_hash) != 64:
        differences.append([data, status])

total = lambda entries: sum(decimal.Decimal(e["Quantity"]) * decimal.Decimal(e["UnitPrice"]) for e in entries)
if total(lines) != total([json.loads(data) for data, *_ in rows]):
    differences.append("the sums differ")
print(json.dumps({"lines": len(lines), "sum": str(total(lines)), "differences": differences}))
