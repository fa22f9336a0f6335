import type { Address, Waiting } from '../../core/index.ts'
import { eligible, sinceTurn, type Succession } from './turns.ts'
import { majorityOf } from './votes.ts'

/** An address as people tell it apart; `aurex votes` shows the whole of it. */
export const shortAddress = (address: Address): string => `${address.slice(0, 4)}...${address.slice(-2)}`

/** So many are named; of hundreds nobody would read the names. */
const namedMax = 4

/**
 * Whose block is waited for: of those who may sign the next one. `seen`: authorities that are known to be up, where
 * somebody knows. `own`: the key of the node that waits, which would make blocks if it were an authority's.
 */
export function waitingFor(below: Succession, seen: ReadonlySet<Address> | undefined, own: Address): Waiting {
  const { authorities } = below
  const able = eligible(below)
  if (able.length === 0) {
    return {
      waitsFor: 'an authority: none is left',
      help: 'the chain has ended: its last authority was voted out; begin another one with aurex genesis',
    }
  }
  const needed = majorityOf(authorities.length)
  const up = authorities.filter((address) => seen?.has(address) === true).length
  const known = seen === undefined ? '' : `, and ${up} ${up === 1 ? 'is' : 'are'} seen from here`
  const stranger = authorities.includes(own) ? '' : `; the key of this node, ${shortAddress(own)}, is none of theirs`
  return {
    waitsFor: `a block of ${oneOf(able.map((address) => placedText(address, below)))}`,
    help: `${adviceOn(able, seen)}; ${needed} of ${authorities.length} authorities must be up${known}${stranger}`,
  }
}

/** Who is up and makes nothing all the same, since it has stopped signing or only follows, says why itself. */
function adviceOn(able: readonly Address[], seen: ReadonlySet<Address> | undefined): string {
  const away = able.filter((address) => seen?.has(address) !== true)
  const here = able.filter((address) => seen?.has(address) === true)
  return [
    ...(away.length === 0 ? [] : [`start the node of ${oneOf(away.map(shortAddress))}`]),
    ...(here.length === 0 ? [] : [`ask the node of ${oneOf(here.map(shortAddress))}, which is up: aurex why`]),
  ].join(', or ')
}

function placedText(address: Address, below: Succession): string {
  const { authorities } = below
  const place = `place ${authorities.indexOf(address) + 1} of ${authorities.length}`
  return `${shortAddress(address)} (${place}${sinceTurn(address, below) === 0 ? ', in turn' : ''})`
}

function oneOf(names: readonly string[]): string {
  const named = names.slice(0, namedMax)
  const more = names.length - named.length
  const all = more > 0 ? [...named, `one of ${more} others`] : named
  return all.length === 1 ? all[0]! : `${all.slice(0, -1).join(', ')} or ${all.at(-1)!}`
}
