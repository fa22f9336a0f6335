import type { Application, StateEntry, Storage } from '../plugin.ts'
import type { ReadBlock } from './block.ts'
import type { Hash } from './canonical.ts'
import { rowOfBlock, rowOfTransaction, type Damage } from './damage.ts'
import { applyTransaction, byKey, Overlay, stateRootAfter } from './execution.ts'

/** About a millisecond's worth. */
const executionsPerStep = 64

/** Whether the ledger holds the state before block 1 as the application has it. */
export function auditOpening(storage: Storage, application: Application): Damage | undefined {
  const entries = application.opening().filter(({ value }) => value !== undefined)
  return differenceOf(entries.toSorted(byKey), storage.stateChanges(storage.headerAt(0)!.header.current_hash), 0)
}

/** Executes a recorded block again on the state below it. Yields its index every so many transactions. */
export function* auditState(
  storage: Storage,
  application: Application,
  { block, transactions }: ReadBlock,
  parentRoot: Hash,
): Generator<number, Damage | undefined> {
  const { index, current_hash: hash } = block
  const state = new Overlay({ get: (key) => storage.stateAt(key, index - 1) })
  for (const [position, read] of transactions.entries()) {
    const result = applyTransaction(application, read, state)
    if (!result.ok) {
      const what = `${application.id} does not take it: ${result.code}: ${result.detail}`
      return { row: rowOfTransaction(read.hash, index), what }
    }
    state.put(result.value)
    if ((position + 1) % executionsPerStep !== 0) continue
    yield index
    // Undone meanwhile: what it stood on may be another state, and it was executed when it was recorded.
    if (storage.headerAt(index)?.header.current_hash !== hash) return undefined
  }
  const changes = state.changes()
  const difference = differenceOf(changes, storage.stateChanges(hash), index)
  if (difference !== undefined) return difference
  const root = stateRootAfter(parentRoot, changes)
  if (root === block.state_root) return undefined
  return { row: rowOfBlock(index), what: `state_root: expected ${root}, got ${block.state_root}` }
}

/** The first entry that is changed, missing or too much. */
function differenceOf(
  expected: readonly StateEntry[],
  stored: readonly StateEntry[],
  index: number,
): Damage | undefined {
  const rowOf = (key: string): string => `state, key ${quoted(key)} (block ${index})`
  const rest = new Map(stored.map(({ key, value }) => [key, value]))
  for (const { key, value } of expected) {
    if (!rest.has(key)) return { row: rowOf(key), what: `is missing; expected ${textOf(value)}` }
    const got = rest.get(key)
    rest.delete(key)
    if (got !== value) return { row: rowOf(key), what: `expected ${textOf(value)}, got ${textOf(got)}` }
  }
  const [more] = rest
  return more && { row: rowOf(more[0]), what: `should not be there; got ${textOf(more[1])}` }
}

const textOf = (value: string | undefined): string => (value === undefined ? 'none' : quoted(value))

const quotedCharactersMax = 256

/** Whole, where it is not too long: it is what a person looks up. */
function quoted(text: string): string {
  return text.length <= quotedCharactersMax
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, quotedCharactersMax))}…`
}
