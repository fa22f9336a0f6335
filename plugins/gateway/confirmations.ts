import {
  accepted,
  decline,
  readConfirmation,
  type Confirmation,
  type Hash,
  type JsonObject,
  type Log,
  type Report,
  type Storage,
  type Verdict,
} from '../../core/index.ts'
import { blocksOfHeightMax, Heard, type Block, type BlockRecord, type Word } from './heard.ts'
import type { Signers } from './signers.ts'

/** Nodes that are remembered for one block. The word of more adds nothing. */
const nodesOfBlockMax = 256

export interface ConfirmationsParts {
  readonly signers: Pick<Signers, 'knows'>
  /** Confirmations without a signature count too. */
  readonly allowUnsigned: boolean
  /** Without it there is a bounded memory, and nothing is forwarded. */
  readonly storage: Pick<Storage, 'report' | 'records'> | undefined
  /** On a node with a chain of its own, that chain is what is told of. */
  readonly forwards: boolean
  readonly chainId: () => Hash | undefined
  /** Something was forwarded. */
  readonly publish: (news: JsonObject) => void
  readonly log: Log
}

type News = 'confirmed' | 'orphaned' | 'final'

/** Something to forward: what it says, and the block as it stands afterwards. */
interface Telling {
  readonly confirmation: Confirmation
  readonly block: Block
}

/**
 * What nodes say of their blocks: checked, remembered for each block and node, and forwarded once a block: confirmed with
 * the first node that has it, orphaned when the last one no longer does. Where several nodes make blocks at once, a node's
 * late news of a block that all others have dropped is usual. So what was told as orphaned is confirmed again only when a
 * node builds on it, or when all that ever spoke of it have it. With the first node that calls it final it is confirmed as
 * such, once, and nothing more is ever told of it.
 */
export class Confirmations {
  readonly #parts: ConfirmationsParts
  readonly #heard: Heard
  /** By code. */
  readonly refused = new Map<string, number>()
  #taken = 0

  constructor(parts: ConfirmationsParts) {
    this.#parts = parts
    this.#heard = new Heard(parts.storage)
  }

  get taken(): number {
    return this.#taken
  }

  /**
   * Durable on return. Declines what `readConfirmation` declines, `unsigned`, `unknown-signer`, `wrong-chain`, `too-old`,
   * `too-many-blocks`. Throws as `Storage` does.
   */
  hear(message: JsonObject): Verdict {
    const verdict = this.#hear(message)
    if (verdict.ok) this.#taken++
    else this.refused.set(verdict.code, (this.refused.get(verdict.code) ?? 0) + 1)
    return verdict
  }

  #hear(message: JsonObject): Verdict {
    const { signers, allowUnsigned, chainId } = this.#parts
    const read = readConfirmation(message, (key) =>
      // `node_id` is that of the key: that was checked.
      signers.knows(message['node_id'] as string, key) ? accepted : unknownSigner(message['node_id'] as string),
    )
    if (!read.ok) return read
    const { confirmation, signer } = read.value
    if (signer === undefined && !allowUnsigned) {
      return decline('unsigned', 'signature: is missing; this gateway takes only what the node signed')
    }
    const expected = chainId()
    if (confirmation.chain_id !== undefined && expected !== undefined && confirmation.chain_id !== expected) {
      return decline('wrong-chain', `chain_id: expected ${expected}, got ${confirmation.chain_id}`)
    }
    // What anybody can say in a node's name must not stand for what that node says, nor fill the ledger with names.
    return this.#remember(confirmation, signer === undefined ? 'unsigned' : confirmation.node_id)
  }

  #remember(confirmation: Confirmation, node: string): Verdict {
    const { block_hash: hash, block_index: index } = confirmation
    const floor = this.#heard.floorOf(node)
    const known = this.#heard.block(hash)
    if (index < floor && !isFinal(confirmation)) {
      return decline('too-old', `block_index: expected at least ${floor}, got ${index}`)
    }
    // Whoever was stalled for so long says of many old blocks at last that they are final. Who sends it must not be stuck.
    if (index < floor && known === undefined) return accepted
    const record = known ?? { index, times: 0, nodes: {} }
    if (record.index !== index) {
      return decline('bad-confirmation', `block_index: this block was said to be at ${record.index}, got ${index}`)
    }
    const said: Word = [confirmation.sequence ?? 0, isOrphaned(confirmation)]
    const before = record.nodes[node]
    const makesFinal = isFinal(confirmation) && record.final !== true
    if (before !== undefined && !isLater(said, before) && !(makesFinal && isSame(said, before))) return accepted
    if (before === undefined && Object.keys(record.nodes).length >= nodesOfBlockMax) return accepted
    if (before === undefined && this.#heard.isFull(node, index)) {
      return decline(
        'too-many-blocks',
        `block_index: ${node} spoke of ${blocksOfHeightMax} blocks of this height already`,
      )
    }
    this.#write(confirmation, node, { ...record, nodes: { ...record.nodes, [node]: said } })
    return accepted
  }

  /** Writes what was said, and what follows from it, at once. */
  #write(confirmation: Confirmation, node: string, record: BlockRecord): void {
    const { storage, forwards } = this.#parts
    const told = this.#told(confirmation, record)
    // First what it lies on: blocks are told from below.
    const tellings = [...(isOrphaned(confirmation) ? [] : this.#builtOn(node, record.index - 1)), ...told.tellings]
    const others = tellings.map(({ block }) => block).filter(([hash]) => hash !== confirmation.block_hash)
    const reports = storage !== undefined && forwards ? tellings.map(reportOf) : []
    this.#heard.write(node, [[confirmation.block_hash, told.record], ...others], reports)
    for (const telling of tellings) this.#tell(telling)
  }

  /** The block as it stands after this word, and what is to be forwarded of it. */
  #told(confirmation: Confirmation, record: BlockRecord): { record: BlockRecord; tellings: Telling[] } {
    const { again: _before, ...plain } = record
    const news = newsOf(record, isFinal(confirmation))
    if (news !== undefined) {
      const next = toldAs(news, plain)
      return { record: next, tellings: [{ confirmation, block: [confirmation.block_hash, next] }] }
    }
    if (record.final === true || record.told !== 'orphaned' || !isHeld(record)) return { record: plain, tellings: [] }
    const again = isOrphaned(confirmation) ? record.again : JSON.stringify(this.#toKeep(confirmation))
    return { record: again === undefined ? plain : { ...plain, again }, tellings: [] }
  }

  /** What this node has at the height below the block that it confirms, where it was last told as orphaned. */
  #builtOn(node: string, index: number): Telling[] {
    return this.#heard.heldAt(node, index).flatMap(([hash, { again, ...record }]) => {
      if (again === undefined || record.told !== 'orphaned') return []
      return [{ confirmation: JSON.parse(again) as Confirmation, block: [hash, toldAs('confirmed', record)] as const }]
    })
  }

  /** Without storage nothing is forwarded, and what is only logged is short. */
  #toKeep(confirmation: Confirmation): Confirmation {
    if (this.#parts.storage !== undefined) return unsigned(confirmation)
    const { type, block_index, block_hash, miner_id, node_id, timestamp } = confirmation
    return { type, block_index, block_hash, miner_id, node_id, timestamp }
  }

  #tell({ confirmation, block: [, record] }: Telling): void {
    const { block_hash, block_index, miner_id, node_id, type } = confirmation
    const { log, storage, forwards, publish } = this.#parts
    log.info(messageOf(record), { block_index, block_hash, miner_id, node_id })
    if (storage !== undefined && forwards) {
      const final = record.final === true ? { final: true } : {}
      publish({ type, block_index, block_hash, ...final, id: idOf(confirmation, record) })
    }
  }
}

const unknownSigner = (nodeId: string) =>
  decline(
    'unknown-signer',
    `node_id: ${nodeId} is no node that this gateway has shaken hands with, nor named in gateway.confirmers`,
  )

const isOrphaned = ({ type }: Confirmation): boolean => type === 'block_orphaned'
const isFinal = (confirmation: Confirmation): boolean => confirmation.final === true && !isOrphaned(confirmation)

/** Without a sequence a node can only go from confirmed to orphaned: nothing would tell its next word from an old one. */
const isLater = ([sequence, orphaned]: Word, [before, wasOrphaned]: Word): boolean =>
  sequence > before || (sequence === before && orphaned && !wasOrphaned)

/** What a node said before, so that it is final may be added to it. */
const isSame = ([sequence, orphaned]: Word, [before, wasOrphaned]: Word): boolean =>
  sequence === before && orphaned === wasOrphaned

const isHeld = ({ nodes }: BlockRecord): boolean => Object.values(nodes).some(([, orphaned]) => !orphaned)
const isHeldByAll = ({ nodes }: BlockRecord): boolean => Object.values(nodes).every(([, orphaned]) => !orphaned)

/** What this block alone says. `final`: so it was called just now. */
function newsOf(record: BlockRecord, final: boolean): News | undefined {
  if (record.final === true) return undefined
  if (final) return 'final'
  if (record.told === 'confirmed') return isHeld(record) ? undefined : 'orphaned'
  const counts = record.told === undefined ? isHeld : isHeldByAll
  return counts(record) ? 'confirmed' : undefined
}

function toldAs(news: News, record: BlockRecord): BlockRecord {
  if (news === 'final') return { ...record, told: 'confirmed', final: true }
  return { ...record, told: news, times: record.times + 1 }
}

function messageOf({ told, times, final }: BlockRecord): string {
  if (final === true) return 'a block is final'
  if (told === 'orphaned') return 'a confirmed block is on no chain any more'
  return times === 1 ? 'a block was confirmed' : 'a block that was orphaned is confirmed again'
}

/** The same whichever node was first; another each time that a block comes or goes, and when it is final. */
const idOf = ({ type, block_hash }: Confirmation, { times, final }: BlockRecord): string =>
  `${type}/${block_hash}/${final === true ? 'final' : times}`

/** As it came, but for what is no longer true of it: the node signed its own `id`. */
function unsigned({ signature: _signature, public_key_pem: _key, ...rest }: Confirmation): Confirmation {
  return rest
}

function reportOf({ confirmation, block: [hash, record] }: Telling): Report {
  const body = JSON.stringify({ ...unsigned(confirmation), id: idOf(confirmation, record) })
  return { index: record.index, hash, body }
}
