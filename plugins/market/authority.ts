import { accepted, decline, excerpt, isAddress, type StatedTransaction, type Verdict } from '../../core/index.ts'
import type { Account } from './accounts.ts'

/**
 * Whether the key that signed may act for the sender. For an address: its own. For a name: a gateway's that the genesis
 * names, or the one that the name is bound to; where the genesis lets anybody sign for names, anybody's until it is
 * bound. Declines `wrong-key`.
 */
export function mayAct({ sender, signer, right }: StatedTransaction, { publicKey }: Account): Verdict {
  if (isAddress(sender)) {
    return sender === signer ? accepted : decline('wrong-key', `only the key ${sender} signs for its address`)
  }
  if (right === 'gateway' || signer === publicKey) return accepted
  const who = excerpt(sender)
  if (publicKey !== undefined) {
    return decline('wrong-key', `${who} is bound to the key ${publicKey}, got a signature by ${signer}; sign with that`)
  }
  if (right === 'anyone') return accepted
  return decline(
    'wrong-key',
    `${who} is bound to no key yet; first send {"action":"register","public_key":"${signer}"} as ${who}, signed by that key; ` +
      'a name that is in use already is bound by a gateway',
  )
}
