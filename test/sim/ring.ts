import type { Address, KeyPair } from '../../core/chain/keys.ts'
import { nodeKey, type NodeKey } from './keys.ts'
import type { Plan } from './plan.ts'

/** Who may do what in a world in which keys are named. */
export interface Ring {
  /** Of each node, from 0; a clone has that of another. */
  readonly keys: readonly NodeKey[]
  /** All authorities, sorted, the liars among them. */
  readonly addresses: readonly Address[]
  /** Of those authorities that no honest node has. */
  readonly liars: readonly KeyPair[]
  /** The key that two nodes have. */
  readonly cloned: Address | undefined
  /** Whose signatures contradict each other never. */
  readonly honest: ReadonlySet<Address>
  /** So many votes decide. */
  readonly quorum: number
}

/**
 * The keys of a world. The first nodes are authorities, the liars come after them, and the last nodes are clones: of the
 * authority whose turn block 1 is, so that both sign that.
 */
export function ringOf({ seed, nodes, authorities }: Plan): Ring | undefined {
  if (authorities === undefined) return undefined
  const { count, liars, clones } = authorities
  const own = Array.from({ length: nodes - clones }, (_, n) => nodeKey(seed, n))
  const lying = Array.from({ length: liars }, (_, n) => nodeKey(seed, 1_000 + n).key)
  const named = own.slice(0, count - liars).map(({ key }) => key)
  const addresses = [...named, ...lying].map(({ address }) => address).sort()
  const cloned = clones === 0 ? undefined : addresses[1 % addresses.length]
  const copy = own.find(({ key }) => key.address === cloned)
  const keys = copy === undefined ? own : [...own, ...Array.from({ length: clones }, () => copy)]
  const honest = new Set(own.map(({ key }) => key.address).filter((address) => address !== cloned))
  // Written once more and not taken from the node: more than two thirds.
  return { keys, addresses, liars: lying, cloned, honest, quorum: Math.floor((2 * addresses.length) / 3) + 1 }
}
