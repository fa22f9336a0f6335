"""A second witness for what the market makes of transactions, which shares no code with the node.

Usage: market.py VECTOR.json. Reads `inputs` of each chain in the file and prints the `outputs` that follow from them: what
became of each transaction, the state_root after each (as if each stood in a block of its own), and the state after the
last.
"""

import base64
import hashlib
import json
import re
import sys
from decimal import Decimal, getcontext

getcontext().prec = 60
MOST = Decimal(10) ** 18 - Decimal("0.00000001")
ADDRESS = re.compile(r"[0-9a-f]{64}\Z")


class Declined(Exception):
    pass


def canonical(value):
    """RFC 8785, for text and objects of text."""
    if value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"


def decimal_text(amount):
    text = format(amount, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0") else text


def is_name(value):
    return isinstance(value, str) and 1 <= len(value) <= 128 and not ADDRESS.match(value.lower())


def is_person(value):
    return is_name(value) or (isinstance(value, str) and bool(ADDRESS.match(value)))


def key_of(value):
    """An address, or the last 32 bytes of the DER in a PEM."""
    if not isinstance(value, str):
        return None
    if ADDRESS.match(value):
        return value
    if not value.startswith("-----BEGIN PUBLIC KEY-----"):
        return None
    return base64.b64decode("".join(value.split("\n")[1:-2]))[-32:].hex()


def amount_in(data, field, code):
    value = data.get(field)
    if not isinstance(value, str) or not re.match(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,8})?\Z", value):
        raise Declined(code)
    return Decimal(value)


def text_in(data, field, least, most, code):
    value = data.get(field)
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise Declined(code)
    return value


class Market:
    def __init__(self, parameters, gateways):
        self.development = gateways == "any"
        self.attested = isinstance(gateways, list) and len(gateways) > 0
        self.strict = parameters.get("money", "record") == "strict"
        self.issuers = parameters.get("issuers", [])
        self.balances = {who: Decimal(text) for who, text in parameters.get("balances", {}).items()}
        self.keys = dict(parameters.get("keys", {}))
        for name in self.keys:
            self.balances.setdefault(name, Decimal(0))
        self.assets = {}

    def state(self):
        entries = {}
        for who, balance in self.balances.items():
            account = {"balance": decimal_text(balance)}
            if who in self.keys:
                account["public_key"] = self.keys[who]
            entries["user/" + who] = canonical(account)
        for asset, (name, owner) in self.assets.items():
            entries["asset/" + asset] = canonical({"name": name, "owner": owner})
        return entries

    def take(self, transaction):
        before = dict(self.balances), dict(self.keys), dict(self.assets)
        try:
            self.judge(**transaction)
            return "taken"
        except Declined as declined:
            self.balances, self.keys, self.assets = before
            return str(declined)

    def judge(self, sender, signer, right, data):
        action = data.get("action")
        if action == "register":
            return self.register(sender, signer, right, data)
        if ADDRESS.match(sender):
            allowed = sender == signer
        else:
            bound = self.keys.get(sender)
            allowed = right == "gateway" or bound == signer or (right == "anyone" and bound is None)
        if not allowed:
            raise Declined("wrong-key")
        if action == "mint":
            asset = text_in(data, "asset_id", 1, 256, "bad-mint")
            name = text_in(data, "asset_name", 0, 1024, "bad-mint") if "asset_name" in data else asset
            if asset in self.assets:
                raise Declined("asset-exists")
            self.assets[asset] = (name, sender)
            self.balances.setdefault(sender, Decimal(0))
        elif action == "transfer":
            if data.get("from", sender) != sender or not is_person(data.get("to")):
                raise Declined("bad-transfer")
            self.pay(sender, data["to"], amount_in(data, "amount", "bad-transfer"))
        elif action == "purchase":
            self.purchase(sender, right, data)

    def register(self, sender, signer, right, data):
        by_address = bool(ADDRESS.match(sender))
        if by_address and sender != signer:
            raise Declined("wrong-key")
        name = data.get("name") if by_address else sender
        if not is_name(name) or data.get("name", name) != name:
            raise Declined("bad-register")
        bound = self.keys.get(name)
        key = signer if right in ("own", "anyone") else None
        if "public_key" in data:
            key = key_of(data["public_key"])
        if key is None or (key != signer and (by_address or (right == "none" and bound is None))):
            raise Declined("bad-register")
        if bound not in (None, signer) and not (right == "gateway" and bound == key):
            raise Declined("name-taken")
        if bound is None and name in self.balances and right != "gateway" and not self.development:
            raise Declined("name-taken")
        self.keys[name] = key
        self.balances.setdefault(name, Decimal(0))

    def purchase(self, buyer, right, data):
        code = "bad-purchase"
        asset = text_in(data, "asset_id", 1, 256, code)
        name = text_in(data, "asset_name", 0, 1024, code) if "asset_name" in data else asset
        seller = data.get("to")
        if data.get("from", buyer) != buyer or not is_person(seller) or seller == buyer:
            raise Declined(code)
        prices = {amount_in(data, field, code) for field in ("price", "amount") if field in data}
        if len(prices) != 1 or not all(isinstance(data.get(field, ""), str) for field in ("tx_id", "timestamp")):
            raise Declined(code)
        known = asset in self.assets
        name, owner = self.assets.get(asset, (name, seller))
        if owner != seller:
            raise Declined("not-owner")
        if known and self.attested and right != "gateway":
            raise Declined("not-attested")
        self.pay(buyer, seller, prices.pop())
        self.assets[asset] = (name, buyer)

    def pay(self, payer, payee, amount):
        self.balances[payer] = self.balances.get(payer, Decimal(0)) - amount
        if self.strict and payer not in self.issuers and self.balances[payer] < 0:
            raise Declined("insufficient-funds")
        if self.balances[payer] < -MOST:
            raise Declined("too-much")
        if not self.development and not self.attested and is_name(payee) and payee not in self.keys:
            raise Declined("unbound-name")
        self.balances[payee] = self.balances.get(payee, Decimal(0)) + amount
        if self.balances[payee] > MOST:
            raise Declined("too-much")


def root_after(parent, before, now):
    changes = {key: now.get(key) for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
    if not changes:
        return parent
    return hashlib.sha256(f"aurex/state/1\n{parent}\n{canonical(changes)}".encode()).hexdigest()


def outputs(gateways, parameters, transactions):
    market = Market(parameters, gateways)
    state, root = market.state(), "0" * 64
    outcomes, roots = [], []
    for transaction in transactions:
        outcomes.append(market.take(transaction))
        now = market.state()
        root = root_after(root, state, now)
        roots.append(root)
        state = now
    return {"outcomes": outcomes, "state_roots": roots, "state": state}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        chains = json.load(file)
    print(json.dumps([outputs(**chain["inputs"]) for chain in chains], ensure_ascii=False, indent=2))
