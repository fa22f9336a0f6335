import { createHash } from 'node:crypto'
import { keyPairOfPem, privatePemOf, type KeyPair } from '../../core/chain/keys.ts'

/** A key with the file that it stands in. */
export interface NodeKey {
  readonly key: KeyPair
  readonly pem: string
}

/** The key of a node, from 0, that its world's seed decides: whoever makes the genesis must know it beforehand. */
export function nodeKey(seed: number, node: number): NodeKey {
  const pem = privatePemOf(createHash('sha256').update(`${seed}/key ${node}`).digest())
  return { pem, key: keyPairOfPem(pem, 'a node of the simulator') }
}
