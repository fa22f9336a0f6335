import { keyPairOfPem, privatePemOf, type KeyPair } from '../../core/chain/keys.ts'

const keyOf = (n: number): KeyPair =>
  keyPairOfPem(privatePemOf(new Uint8Array(32).fill(n)), 'a client of the simulator')

/** The clients' keys: the same for every seed, so that what a key costs to read is paid once. */
export const clientKeys: readonly KeyPair[] = Array.from({ length: 8 }, (_, n) => keyOf(n + 1))

/** Of a gateway that a genesis names. */
export const gatewayKey = keyOf(99)

/** Those who are called by a name. */
export const names: readonly string[] = ['ann', 'bob', 'cyd', 'dee']
