import type { JsonObject } from '../chain/json.ts'
import { quorumOf } from '../chain/quorum.ts'

/** How many of a chain's authorities must agree before a block is final. */
export interface Quorum {
  readonly authorities: number
  readonly quorum: number
}

/** Of finality's table; undefined where it names no authorities. */
export function quorumIn(table: JsonObject | undefined): Quorum | undefined {
  const list = table?.['authorities']
  if (!Array.isArray(list)) return undefined
  return { authorities: list.length, quorum: quorumOf(list.map(String)) }
}

export function quorumText({ authorities, quorum }: Quorum): string {
  const down = authorities - quorum
  return `${quorum} of ${authorities} authorities must agree; ${down === 0 ? 'none' : down} of them may be down`
}

/** What whoever picks so few should know; undefined: they are enough to stand the loss of one. */
export function quorumWarning({ authorities, quorum }: Quorum): string | undefined {
  if (authorities === 1) return 'one authority alone says what is final: the whole chain trusts its key'
  if (authorities > quorum) return undefined
  return `with ${authorities} authorities none may be down, or nothing becomes final; 4 stand the loss of one`
}
