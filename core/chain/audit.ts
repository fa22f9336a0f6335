import { accepted, AurexError } from '../errors.ts'
import type { Application, Consensus, Finality, Storage, StoredHeader } from '../plugin.ts'
import { Ancestors } from './ancestry.ts'
import { readBody, readHeader, sealedHeaderOf, verifyBlockSignature } from './block.ts'
import { canonicalJson } from './canonical.ts'
import { rowOfBlock, rowOfTransaction, type Damage } from './damage.ts'
import type { Genesis } from './genesis.ts'
import { auditOpening, auditState } from './stateaudit.ts'
import { checkSuccession } from './succession.ts'
import { readTransaction, transactionHash, verifyTransaction, type ReadTransaction } from './transaction.ts'

export { damageText, type Damage } from './damage.ts'

export interface AuditParts {
  readonly storage: Storage
  readonly genesis: Genesis
  readonly consensus: Consensus
  /** What reads certificates, where the genesis asks for one. */
  readonly finality?: Finality | undefined
  /** Every block is executed again, and its changes compared. undefined: the state is not looked at. */
  readonly application?: Application | undefined
  /**
   * Nine tenths of the work, with those in the certificates of a finality. Without them a changed byte of a signature, which
   * no hash covers, is not found.
   */
  readonly signatures: boolean
}

/**
 * Re-checks a whole ledger from the genesis up by the rules of its chain, then what is pending. Yields every millisecond
 * or so at which block it is, so that it can be run beside other work; returns the first damage, or undefined when all is
 * sound.
 */
export function* auditLedger(parts: AuditParts): Generator<number, Damage | undefined> {
  const { storage, genesis, application } = parts
  const ancestors = new Ancestors(storage)
  try {
    const first = storage.headerAt(0)
    if (first === undefined || canonicalJson(first.header) !== canonicalJson(sealedHeaderOf(genesis.block))) {
      return { row: rowOfBlock(0), what: 'is not the block of the genesis that the ledger was made for' }
    }
    const opening = application && auditOpening(storage, application)
    if (opening !== undefined) return opening
    for (let index = 1; index <= storage.head().header.index; index++) {
      // Read again: where the audit runs beside other work, the block below may be another than a moment ago.
      const below = storage.headerAt(index - 1)
      if (below === undefined) return { row: rowOfBlock(index - 1), what: 'is missing' }
      const damage = yield* auditBlock(parts, ancestors, index, below)
      if (damage !== undefined) return damage
      yield index
    }
    return yield* auditPending(parts)
  } catch (error) {
    // The store says itself which row it could not read.
    if (error instanceof AurexError && error.code === 'ledger-damaged') return { row: 'ledger', what: error.message }
    throw error
  }
}

/** A certificate is signatures, and the hash of its header covers it. */
const unread: Pick<Finality, 'verify'> = { verify: () => accepted }

/** About a millisecond's worth. */
const signaturesPerStep = 16

function* auditBlock(
  parts: AuditParts,
  ancestors: Ancestors,
  index: number,
  below: StoredHeader,
): Generator<number, Damage | undefined> {
  const { storage, genesis, consensus, finality } = parts
  const row = rowOfBlock(index)
  const stored = storage.headerAt(index)
  if (stored === undefined) return { row, what: 'is missing' }
  const damage = auditTransactions(parts, index)
  if (damage !== undefined) return damage
  const block = storage.block(stored.header.current_hash)
  if (block === undefined) return { row, what: 'is not found by its own hash' }
  const header = readHeader(block, genesis.rules)
  if (!header.ok) return { row, what: header.detail }
  if (block.index !== index) return { row, what: `says index ${block.index}` }
  const succession = { consensus, finality: parts.signatures ? finality : finality && unread, rules: genesis.rules }
  const rules = checkSuccession(block, ancestors.of(below.header), succession)
  if (!rules.ok) return { row, what: `${rules.code}: ${rules.detail}` }
  if (stored.totalWork !== below.totalWork + consensus.weight(block)) return { row, what: 'total work is not the sum' }
  const body = readBody(header.value, genesis.rules)
  if (!body.ok) return { row, what: body.detail }
  if (parts.application !== undefined) {
    const state = yield* auditState(storage, parts.application, body.value, below.header.state_root)
    if (state !== undefined) return state
  }
  if (!parts.signatures) return undefined
  const signature = verifyBlockSignature(header.value)
  if (!signature.ok) return { row, what: signature.detail }
  // From here on it is all in memory, so that a large block can be left and taken up again.
  for (const [position, read] of body.value.transactions.entries()) {
    if (!verifyTransaction(read).ok) {
      return { row: rowOfTransaction(read.hash, index), what: 'the signature is not by its sender' }
    }
    if ((position + 1) % signaturesPerStep === 0) yield index
  }
  return undefined
}

/** Each row against the id under which it is filed, so that a changed one is named and not only its block. */
function auditTransactions({ storage, genesis }: AuditParts, index: number): Damage | undefined {
  for (const { hash, transaction, position } of storage.transactionsAt(index)) {
    const row = rowOfTransaction(hash, index)
    if (transactionHash(transaction, genesis.rules.chainId) !== hash) return { row, what: 'its content has another id' }
    const place = storage.locate(hash)
    if (place?.blockIndex !== index || place.position !== position) return { row, what: 'is not found by its id' }
  }
  return undefined
}

function* auditPending({ storage, genesis, signatures }: AuditParts): Generator<number, Damage | undefined> {
  let seen = 0
  for (const { hash, transaction } of storage.pending()) {
    const read = readTransaction(transaction, genesis.rules)
    const what = read.ok ? pendingFault(hash, read.value, signatures) : read.detail
    if (what !== undefined) return { row: `transactions, tx_hash ${hash} (pending)`, what }
    if (++seen % signaturesPerStep === 0) yield storage.head().header.index
  }
  return undefined
}

function pendingFault(hash: string, read: ReadTransaction, signatures: boolean): string | undefined {
  if (read.hash !== hash) return 'its content has another id'
  return signatures && !verifyTransaction(read).ok ? 'the signature is not by its sender' : undefined
}
