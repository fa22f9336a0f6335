"""Follows a whole ledger as a stranger would: the views of the file, and the rules of test/golden/market.py.

Usage: witness.py GENESIS.json LEDGER. Prints what differs, and what it has seen.
"""

import json
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../golden"))
from market import ADDRESS, Market, key_of, root_after  # noqa: E402

genesis = json.load(open(sys.argv[1], encoding="utf-8"))
ledger = sqlite3.connect(f"file:{sys.argv[2]}?mode=ro", uri=True)
gateways = genesis.get("gateways", [])


def stated(sender, data, pem):
    if ADDRESS.match(sender):
        return {"sender": sender, "signer": sender, "right": "own", "data": data}
    signer = key_of(pem)
    right = "anyone" if gateways == "any" else "gateway" if signer in gateways else "none"
    return {"sender": sender, "signer": signer, "right": right, "data": data}


market = Market(genesis.get("market", {}), gateways)
state, root, differences, seen = market.state(), "0" * 64, [], 0
for index, expected in ledger.execute('SELECT "index", state_root FROM blocks ORDER BY "index"').fetchall():
    rows = "SELECT sender, data, public_key_pem FROM transactions WHERE block_index = ? ORDER BY id"
    for sender, data, pem in ledger.execute(rows, (index,)).fetchall():
        seen += 1
        outcome = market.take(stated(sender, json.loads(data), pem))
        if outcome != "taken":
            differences.append(f"block {index}: {data}: {outcome}")
    now = market.state()
    root = root_after(root, state, now)
    state = now
    if root != expected:
        differences.append(f"block {index}: state_root {root}, and in the ledger {expected}")

users = {}
for name, key, balance in ledger.execute("SELECT username, public_key, balance FROM users"):
    users["user/" + name] = {"balance": balance, **({"public_key": key} if key else {})}
assets = {}
for asset, name, owner in ledger.execute("SELECT asset_id, asset_name, owner FROM assets"):
    assets["asset/" + asset] = {"name": name, "owner": owner}
if {**users, **assets} != {key: json.loads(text) for key, text in state.items()}:
    differences.append("the views users and assets are not the state")
print(json.dumps({"differences": differences, "transactions": seen, "users": len(users), "assets": len(assets)}))
