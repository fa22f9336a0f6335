import type { Hash } from '../chain/canonical.ts'
import type { HostPort } from './hostport.ts'
import type { ModuleParts } from './module.ts'

/** What a node is in its network. */
export interface Standing {
  readonly chainId: Hash
  readonly nodeType: string
  readonly height: number
  /** Where other nodes may dial it. */
  readonly listens: HostPort | undefined
}

/**
 * A node that takes part without keeping the chain: nothing is announced or sent to it by itself, and nobody looks for it
 * or hands its address on.
 */
export const lightNodeType = 'gateway'

export const isLightType = (nodeType: string): boolean => nodeType === lightNodeType

/** undefined on a node that does not know yet which chain its network is on. */
export function standingOf({
  chain,
  known,
  publicAddress,
}: Pick<ModuleParts, 'chain' | 'known' | 'publicAddress'>): Standing | undefined {
  const chainId = known.value?.rules.chainId
  if (chainId === undefined) return undefined
  if (chain === undefined) return { chainId, nodeType: lightNodeType, height: 0, listens: undefined }
  return { chainId, nodeType: 'full', height: chain.head().header.index, listens: publicAddress() }
}
