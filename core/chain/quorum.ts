import * as v from 'valibot'
import { accepted, refuse, type Verdict } from '../errors.ts'
import { excerpt } from './json.ts'
import { isAddress, publicKeyOf, type Address, type Purpose } from './keys.ts'
import { isSignedBy } from './signature.ts'

/** Nobody has named more of them, and a certificate of so many is 15 KiB. */
const authoritiesMax = 128

/** More than two thirds: any two sets of so many share more members than may lie. */
export const quorumOf = (authorities: readonly Address[]): number => Math.floor((2 * authorities.length) / 3) + 1

/** For a parameter `authorities`: addresses of proper keys, each once. */
export const addressList = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.check((text) => publicKeyOf(text).ok, 'expected the address of a proper key, as aurex key show prints it'),
    ),
  ),
  v.maxLength(authoritiesMax),
  v.check((all) => new Set(all).size === all.length, 'expected each address once'),
)

/** Signatures of one text: base64 by the addresses of the keys. */
export const signatureList = v.record(v.pipe(v.string(), v.check(isAddress)), v.string())
export type SignatureList = v.InferOutput<typeof signatureList>

/**
 * Whether more than two thirds of the authorities signed a text. Refuses `bad-certificate` where they did not, and where
 * anybody else or anything else is among the signatures.
 */
export function checkQuorum(
  signatures: SignatureList,
  authorities: readonly Address[],
  purpose: Purpose,
  text: string,
): Verdict {
  const signers = Object.keys(signatures)
  const needed = quorumOf(authorities)
  if (signers.length < needed) {
    return refuse('bad-certificate', `signatures: expected ${needed} or more, got ${signers.length}`)
  }
  const stranger = signers.find((address) => !authorities.includes(address))
  if (stranger !== undefined) return refuse('bad-certificate', `signatures: ${excerpt(stranger)} is no authority`)
  const wrong = signers.find((address) => !isSignedBy(address, purpose, text, signatures[address]!))
  return wrong === undefined ? accepted : refuse('bad-certificate', `signatures: ${wrong} did not sign this`)
}
