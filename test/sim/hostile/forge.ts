import { headerHash, transactionsRoot, type Block, type Header } from '../../../core/chain/block.ts'
import { noProposal } from '../../support/headers.ts'
import { medianTimePast } from '../../../core/chain/ancestry.ts'
import { zeroHash } from '../../../core/chain/canonical.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { purposes, type KeyPair } from '../../../core/chain/keys.ts'
import { formatTimestamp } from '../../../core/chain/timestamp.ts'
import { readTransaction, signTransaction, type ReadTransaction } from '../../../core/chain/transaction.ts'
import type { Dice } from '../dice.ts'
import { nonceFor } from '../engines.ts'
import type { HonestNode } from '../honest.ts'
import type { Puppet } from './puppet.ts'

/** Beyond so many expected hashes nobody here has the time to find a nonce. */
const workMax = 2 ** 16

/** A block on a node's head. A valid one, until somebody spoils it. undefined where that costs too much. */
export async function blockOn(
  node: HonestNode,
  { key, host }: Pick<Puppet, 'key' | 'host'>,
  extra: string,
  reads: readonly ReadTransaction[] = [],
): Promise<Block | undefined> {
  const { chain, consensus, storage } = node.inside!
  const parent = storage.head().header
  const ancestry = chain.ancestors.of(parent)
  const after = Math.max(medianTimePast(ancestry) + 1, host.clock.now())
  const header = consensus.prepare(
    {
      version: 1,
      chain_id: chain.genesis.rules.chainId,
      consensus: consensus.id,
      index: parent.index + 1,
      timestamp: formatTimestamp(after),
      prev_hash: parent.current_hash,
      miner_id: key.nodeId,
      public_key_pem: key.pem,
      work: 1,
      tx_root: transactionsRoot(reads.map(({ hash }) => hash)),
      // What changes nothing of the state keeps its root.
      state_root: parent.state_root,
      extra,
    },
    ancestry,
  )
  if (header.work > workMax) return undefined
  const seal = consensus.id === 'pow' ? { nonce: nonceFor(header) } : await consensus.seal(header, never, noProposal)
  const transactions = reads.map(({ transaction }) => transaction)
  return seal && signed({ ...header, ...seal, current_hash: '', signature: '', transactions }, key)
}

const never = new AbortController().signal

/** With the hash that its content has, and a signature over that. */
export function signed(block: Block, key: KeyPair): Block {
  const current_hash = headerHash(block, block.nonce)
  return { ...block, current_hash, signature: key.sign(purposes.block, current_hash) }
}

/** With the work that it says. */
export const sealed = (header: Block, key: KeyPair): Block => signed({ ...header, nonce: nonceFor(header) }, key)

export type Spoiler = (block: Block, key: KeyPair, dice: Dice) => Block

/** What may be wrong with a block: each is refused, and provably the sender's fault. */
export const spoilers: Readonly<Record<string, Spoiler>> = {
  'an invented hash': (block, key) => ({
    ...block,
    current_hash: zeroHash,
    signature: key.sign(purposes.block, zeroHash),
  }),
  'another hash': (block, _key, dice) => ({ ...block, current_hash: Buffer.from(dice.bytes(32)).toString('hex') }),
  'no work': (block, key) => {
    // The first nonce whose hash is not good enough.
    let nonce = block.nonce + 1
    while (headerHash(block, nonce).startsWith('0')) nonce++
    return signed({ ...block, nonce }, key)
  },
  'work too low': (block, key) => sealed({ ...block, work: 1 }, key),
  'work too high': (block, key) => signed({ ...block, work: block.work * 2 ** 20 }, key),
  'a wrong signature': (block, key) => ({ ...block, signature: key.sign(purposes.block, zeroHash) }),
  'a body that is not its root': (block, key) => sealed({ ...block, tx_root: 'f'.repeat(64) }, key),
  'a time in the past': (block, key) => sealed({ ...block, timestamp: '2020-01-01T00:00:00.000Z' }, key),
  'a height that does not follow': (block, key) => sealed({ ...block, index: block.index + 1 }, key),
  'an invented state_root': (block, key) => sealed({ ...block, state_root: 'e'.repeat(64) }, key),
  "another's name": (block, key) => sealed({ ...block, miner_id: '00000000-0000-8000-8000-000000000000' }, key),
}

/** One transaction that is on the branch already. */
export function withRepeated(node: HonestNode): ReadTransaction[] {
  const { storage, chain } = node.inside!
  for (let index = storage.head().header.index; index > 0; index--) {
    const [recorded] = storage.transactionsAt(index)
    if (recorded === undefined) continue
    const read = readTransaction(recorded.transaction, chain.genesis.rules)
    return read.ok ? [read.value] : []
  }
  return []
}

/** Two of which the application takes only the first; without an application, one that is on the branch already. */
export function withRivals(node: HonestNode, key: KeyPair): ReadTransaction[] {
  const { genesis } = node.inside!.chain
  if (genesis.application === undefined) return withRepeated(node)
  const data = { action: 'mint', asset_id: `of ${key.address}` }
  const rivals = [1, 2].map((nonce) =>
    readTransaction(signTransaction(key, genesis.rules.chainId, data, nonce), genesis.rules),
  )
  return rivals.flatMap((read) => (read.ok ? [read.value] : []))
}

export const blockJson = (block: Block | Header): JsonObject => block as unknown as JsonObject
