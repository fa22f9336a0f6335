import { readGenesis, type Genesis } from '../../chain/genesis.ts'
import { isObject, parseJsonText } from '../../chain/json.ts'
import { AurexError, exitCode, messageOf } from '../../errors.ts'
import type { Storage } from '../../plugin.ts'

/** Where a node without a chain keeps which chain its network is on. */
export interface GenesisMemory {
  /** For people. */
  readonly location: string
  /** Canonical JSON. */
  read(): string | undefined
  /** Durable on return. Throws as `Storage` does. */
  write(text: string): void
}

const owner = 'network'
const key = 'genesis'

export const genesisMemory = (storage: Pick<Storage, 'location' | 'records' | 'genesis'>): GenesisMemory => ({
  location: storage.location,
  // A ledger that was begun is one chain's, also while no engine is loaded.
  read: () => storage.records(owner).get(key) ?? storage.genesis(),
  write: (text) => storage.records(owner).write([[key, text]]),
})

/**
 * Which chain the network of a node without a chain is on: what a file says, or what it knew before. Throws
 * `wrong-genesis` where these differ, since what such a node keeps belongs to one chain; `ledger-damaged` where what is
 * remembered cannot be read.
 */
export function recall(given: Genesis | undefined, memory: GenesisMemory | undefined): Genesis | undefined {
  const text = memory?.read()
  if (memory === undefined || text === undefined) return given
  const remembered = readRemembered(text, memory.location)
  if (given === undefined || given.rules.chainId === remembered.rules.chainId) return remembered
  throw new AurexError(
    'wrong-genesis',
    `${memory.location}: what is kept there belongs to the chain ${nameOf(remembered)}, but --genesis says ` +
      `${nameOf(given)}; name another --data-dir, or give the genesis of that chain, or none`,
    { exit: exitCode.config },
  )
}

const nameOf = ({ name, rules }: Genesis): string => `${name} (${rules.chainId})`

function readRemembered(text: string, location: string): Genesis {
  try {
    const parsed = parseJsonText(text)
    if (!parsed.ok) throw new Error(parsed.detail)
    if (!isObject(parsed.value)) throw new Error('expected an object')
    return readGenesis(parsed.value, 'the genesis')
  } catch (cause) {
    throw new AurexError(
      'ledger-damaged',
      `${location}: the genesis that was remembered there cannot be read: ${messageOf(cause)}; put back a copy`,
      { cause, exit: exitCode.config },
    )
  }
}
