import type { JsonObject } from '../chain/json.ts'
import type { Finality } from '../plugin.ts'
import type { NetworkChain } from './module.ts'

export interface FinalityParts {
  readonly chain: NetworkChain
  readonly finality?: Pick<Finality, 'justified'> | undefined
}

/**
 * The fields `final` and `justified` of what this node says of its chain. None where nothing says what is final, which is
 * then block 0 alone.
 */
export function finalityFields({ chain, finality }: FinalityParts): JsonObject {
  const index = chain.finalHeight()
  if (finality === undefined && index === 0) return {}
  const final = { index, hash: chain.headerAt(index)!.header.current_hash }
  if (finality === undefined) return { final }
  const { index: at, hash } = finality.justified()
  return { final, justified: { index: at, hash } }
}
