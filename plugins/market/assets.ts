import { canonicalJson, type StateView } from '../../core/index.ts'
import type { Draft } from './draft.ts'

export interface Asset {
  readonly name: string
  /** A name or an address. */
  readonly owner: string
}

export const assetIdCharactersMax = 256
export const assetNameCharactersMax = 1_024

export function assetOf(state: StateView, id: string): Asset | undefined {
  const text = state.get(keyOf(id))
  return text === undefined ? undefined : (JSON.parse(text) as Asset)
}

export const keepAsset = (draft: Draft, id: string, { name, owner }: Asset): void =>
  draft.set(keyOf(id), canonicalJson({ name, owner }))

// A prefix of its own, and behind it nothing but the id: whatever characters that has, no two make the same key.
const keyOf = (id: string): string => `asset/${id}`
