// What a chain of authorities is, written a second time from the protocol and without the plugins' own code.
import canonicalize from 'canonicalize'
import type { SealedHeader } from '../../core/chain/block.ts'
import { isObject, type Json } from '../../core/chain/json.ts'
import { isSigned, pemOf } from './oracle.ts'
import type { Plan } from './plan.ts'
import type { Ring } from './ring.ts'
import { addressOf } from './signatures.ts'

/** Of certificates that were found good, in all worlds of a process. */
const good = new Set<string>()
const goodMax = 50_000

/** What is wrong with a chain, block 0 first; undefined where nothing is. */
export function chainFault(chain: readonly SealedHeader[], plan: Plan, ring: Ring): string | undefined {
  for (const header of chain.slice(1)) {
    const fault = headerFault(header, chain, plan, ring)
    if (fault !== undefined) return `block ${header.index}: ${fault}`
  }
  return undefined
}

function headerFault(header: SealedHeader, chain: readonly SealedHeader[], plan: Plan, ring: Ring): string | undefined {
  const { index, current_hash: hash, chain_id, finality, certificate } = header
  const turn = plan.engine === 'poa' ? turnFault(header, chain, plan, ring) : undefined
  if (turn !== undefined) return turn
  if (finality !== undefined) {
    const { index: height, hash: certified } = finality
    if (typeof height !== 'number' || height >= index || chain[height]?.current_hash !== certified) {
      return 'it certifies another chain'
    }
    const target = { index: height, hash: certified }
    const text = canonicalize({ chain_id, kind: 'commit', target })!
    return quorumFault(finality['signatures'], `aurex/finality/1\n${text}`, ring)
  }
  if (plan.engine !== 'bft') return undefined
  if (!isObject(certificate)) return 'it has no certificate'
  const text = canonicalize({ chain_id, step: 'precommit', height: index, round: certificate['round'] as Json, hash })!
  return quorumFault(certificate['signatures'], `aurex/bft/1\n${text}`, ring)
}

/** EIP-225: who signed one of the last blocks waits; in turn a block weighs 2. */
function turnFault(header: SealedHeader, chain: readonly SealedHeader[], plan: Plan, { addresses }: Ring) {
  const { index, work, timestamp, public_key_pem: pem } = header
  const signer = addressOf(pem)
  const place = addresses.indexOf(signer)
  if (place < 0) return `${signer} is no authority`
  if (work !== (index % addresses.length === place ? 2 : 1)) return `its work is ${work}`
  const resting = chain.slice(Math.max(1, index - Math.floor(addresses.length / 2)), index)
  if (resting.some((one) => addressOf(one.public_key_pem) === signer)) return `${signer} signed one of the last blocks`
  const after = Date.parse(timestamp) - Date.parse(chain[index - 1]!.timestamp)
  return after < plan.blockSeconds * 1_000 ? `it stands ${after} ms after the one below` : undefined
}

function quorumFault(signatures: Json | undefined, text: string, { addresses, quorum }: Ring): string | undefined {
  if (!isObject(signatures)) return 'its certificate has no signatures'
  const all = Object.entries(signatures)
  if (all.length < quorum) return `${all.length} signatures certify, expected ${quorum}`
  const wrong = all.find(([address, one]) => !addresses.includes(address) || !isGood(text, address, one))
  return wrong && `the signature of ${wrong[0]} does not hold`
}

function isGood(text: string, address: string, signature: Json): boolean {
  if (typeof signature !== 'string') return false
  const key = `${signature} ${address} ${text}`
  if (good.has(key)) return true
  if (!isSigned(text, pemOf(address), signature)) return false
  if (good.size >= goodMax) good.clear()
  good.add(key)
  return true
}
