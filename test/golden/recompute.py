"""A second witness for the golden vectors, which shares no code with the node: Python's standard library and openssl.

Usage: recompute.py VECTORS.json. Reads `inputs` of the file and prints the `outputs` that follow from them.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tempfile


def number(value):
    """ECMA-262, Number::toString: Python's repr has the same shortest digits in another layout."""
    if isinstance(value, int):
        value = float(value)
    if value == 0:
        return "0"
    sign, digits, exponent = re.fullmatch(r"(-?)([\d.]+)(?:e([+-]\d+))?", repr(value)).groups()
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    mantissa = digits if count == 1 else digits[0] + "." + digits[1:]
    return f"{sign}{mantissa}e{point - 1:+d}"


def canonical(value):
    """RFC 8785."""
    if value is None or isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"


def sha256(data):
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).digest()


def merkle_root(leaves):
    """RFC 6962, 2.1, as its definition stands there."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + merkle_root(leaves[:split]) + merkle_root(leaves[split:]))


def armour(label, der):
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n"


class Key:
    """RFC 8410: the DER around a seed or a raw key never varies."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.private_pem = armour("PRIVATE KEY", bytes.fromhex("302e020100300506032b657004220420") + seed)
        self.write("key.pem", self.private_pem)
        self.public_pem = self.openssl("pkey", "-in", "key.pem", "-pubout").decode()
        raw = base64.b64decode("".join(self.public_pem.splitlines()[1:-1]))[-32:]
        self.address = raw.hex()
        uuid = bytearray(sha256(raw)[:16])
        uuid[6] = uuid[6] & 0x0F | 0x80
        uuid[8] = uuid[8] & 0x3F | 0x80
        self.node_id = re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", uuid.hex())

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "wb") as file:
            file.write(text.encode())

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder).stdout

    def sign(self, text):
        self.write("text", text)
        signature = self.openssl("pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "text")
        return base64.b64encode(signature).decode()


def transaction(key, chain_id, fields):
    sender = fields.get("sender", key.address)
    text = "aurex/tx/1\n" + canonical({"chain_id": chain_id, **fields, "sender": sender})
    return {"text": text, "id": sha256(text).hex(), "signature": key.sign(text)}


def outputs(inputs, folder):
    key = Key(folder, bytes.fromhex(inputs["seed"]))
    chain_id = sha256(canonical(inputs["genesis"])).hex()
    transactions = [transaction(key, chain_id, fields) for fields in inputs["transactions"]]
    tx_root = merkle_root([bytes.fromhex(made["id"]) for made in transactions]).hex()
    header = {
        **inputs["header"],
        "chain_id": chain_id,
        "prev_hash": chain_id,
        "miner_id": key.node_id,
        "public_key_pem": key.public_pem,
        "tx_root": tx_root,
    }
    header_text = canonical(header)
    current_hash = sha256(header_text + str(inputs["nonce"])).hex()
    return {
        "address": key.address,
        "node_id": key.node_id,
        "private_pem": key.private_pem,
        "public_pem": key.public_pem,
        "genesis_text": canonical(inputs["genesis"]),
        "chain_id": chain_id,
        "development_chain_id": sha256(canonical(inputs["development_genesis"])).hex(),
        "transactions": transactions,
        "tx_root": tx_root,
        "header_text": header_text,
        "current_hash": current_hash,
        "block_signature": key.sign("aurex/block/1\n" + current_hash),
    }


with open(sys.argv[1], encoding="utf-8") as file, tempfile.TemporaryDirectory() as folder:
    print(json.dumps(outputs(json.load(file)["inputs"], folder), indent=2, ensure_ascii=False))
