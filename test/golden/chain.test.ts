import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import {
  blockText,
  headerHash,
  headerText,
  readBody,
  readHeader,
  transactionsRoot,
  verifyBlockSignature,
  type Block,
  type Header,
} from '../../core/chain/block.ts'
import { developmentGenesis, readGenesis } from '../../core/chain/genesis.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import { keyPairOfPem, privatePemOf, purposes } from '../../core/chain/keys.ts'
import {
  readTransaction,
  signTransaction,
  transactionHash,
  transactionText,
  verifyTransaction,
  type Transaction,
} from '../../core/chain/transaction.ts'

// What is hashed and signed can never change without a fork: these values were written once.

interface Unsigned {
  readonly sender?: string
  readonly data: JsonObject
  readonly nonce?: number
}
interface Golden {
  readonly inputs: {
    readonly seed: string
    readonly genesis: JsonObject
    readonly development_genesis: { readonly consensus: string; readonly pow: JsonObject }
    readonly transactions: readonly Unsigned[]
    readonly header: Pick<Header, 'version' | 'consensus' | 'index' | 'timestamp' | 'work' | 'state_root' | 'extra'>
    readonly nonce: number
  }
  readonly outputs: {
    readonly public_pem: string
    readonly node_id: string
    readonly chain_id: string
    readonly tx_root: string
    readonly current_hash: string
    readonly block_signature: string
    readonly transactions: readonly { readonly id: string }[]
  }
}

const file = join(import.meta.dir, 'chain.json')
const { inputs, outputs } = JSON.parse(readFileSync(file, 'utf8')) as Golden
const key = keyPairOfPem(privatePemOf(Buffer.from(inputs.seed, 'hex')), 'the golden seed')
const genesis = readGenesis(inputs.genesis, 'the golden genesis')
const { chainId } = genesis.rules

function sign({ sender = key.address, ...rest }: Unsigned): Transaction {
  if (sender === key.address) return signTransaction(key, chainId, rest.data, rest.nonce)
  const unsigned = { sender, ...rest, public_key_pem: key.pem }
  const [, ...lines] = transactionText(unsigned, chainId).split('\n')
  return { ...unsigned, signature: key.sign(purposes.transaction, lines.join('\n')) }
}

const transactions = inputs.transactions.map(sign)
const header: Header = {
  ...inputs.header,
  chain_id: chainId,
  prev_hash: chainId,
  miner_id: key.nodeId,
  public_key_pem: key.pem,
  tx_root: transactionsRoot(transactions.map((transaction) => transactionHash(transaction, chainId))),
}
const current_hash = headerHash(header, inputs.nonce)
const block: Block = {
  ...header,
  current_hash,
  nonce: inputs.nonce,
  signature: key.sign(purposes.block, current_hash),
  transactions,
}

test('what the node computes is what was written', () => {
  const got = {
    address: key.address,
    node_id: key.nodeId,
    private_pem: privatePemOf(Buffer.from(inputs.seed, 'hex')),
    public_pem: key.pem,
    genesis_text: genesis.text,
    chain_id: chainId,
    development_chain_id: developmentGenesis('pow', inputs.development_genesis.pow).rules.chainId,
    transactions: transactions.map((transaction) => ({
      text: transactionText(transaction, chainId),
      id: transactionHash(transaction, chainId),
      signature: transaction.signature,
    })),
    tx_root: header.tx_root,
    header_text: headerText(header),
    current_hash,
    block_signature: block.signature,
  }
  expect(got as unknown).toEqual(outputs)
  expect(blockText(current_hash)).toBe(`aurex/block/1\n${current_hash}`)
})

test('a program without any code in common computes the same', () => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(['python3', join(import.meta.dir, 'recompute.py'), file])
  expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: '' })
  expect(JSON.parse(stdout.toString())).toEqual(outputs)
})

test('the golden transactions and the golden block are read and verified', () => {
  const rules = { ...genesis.rules, gateways: [key.address] }
  for (const [i, transaction] of transactions.entries()) {
    const read = readTransaction(transaction, rules)
    if (!read.ok) throw new Error(read.detail)
    expect(read.value.hash).toBe(outputs.transactions[i]!.id)
    expect(verifyTransaction(read.value)).toEqual({ ok: true })
  }
  const read = readHeader(block, rules)
  if (!read.ok) throw new Error(read.detail)
  expect(verifyBlockSignature(read.value)).toEqual({ ok: true })
  expect(readBody(read.value, rules)).toMatchObject({ ok: true })
})

test('block 0 stands for the genesis', () => {
  expect(genesis.block).toMatchObject({
    index: 0,
    current_hash: outputs.chain_id,
    prev_hash: '0'.repeat(64),
    state_root: '0'.repeat(64),
    tx_root: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    transactions: [],
  })
})
