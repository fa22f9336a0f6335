import {
  accepted,
  decline,
  excerpt,
  isAddress,
  publicKeyOf,
  publicKeyOfPem,
  type Address,
  type StatedTransaction,
} from '../../../core/index.ts'
import { accountOf, hasAccount, keepAccount } from '../accounts.ts'
import { mayAct } from '../authority.ts'
import { Fields } from '../fields.ts'
import { isName, nameExpected } from '../names.ts'
import type { MarketRules } from '../rules.ts'
import type { Action } from './action.ts'

/**
 * Binds a name to a key, which acts for it from then on. The bound key, and nobody else, may bind it to another. A name
 * that is in use belongs to whom a gateway spoke for, so only a gateway binds it.
 * Declines `bad-register`, `name-taken`, `wrong-key`.
 */
export const register: Action = (transaction, draft, rules) => {
  const { sender, signer, right, data } = transaction
  const fields = new Fields('register', data)
  const byAddress = isAddress(sender)
  const name = byAddress ? nameIn(fields) : sender
  if (byAddress) {
    const own = mayAct(transaction, { balance: 0n })
    if (!own.ok) return own
  } else {
    fields.repeats('name', sender, 'the sender')
  }
  const account = accountOf(draft, name)
  const bound = account.publicKey
  const key = keyIn(fields, transaction, bound)
  if (fields.fault !== undefined) return fields.fault
  // A gateway that says it once more changes nothing.
  if (bound !== undefined && bound !== signer && !(right === 'gateway' && bound === key)) {
    return decline(
      'name-taken',
      `${excerpt(name)} is bound to the key ${bound}; choose another name, or sign with that key`,
    )
  }
  const isOpen = right === 'gateway' || rules.speakers === 'anybody' || !hasAccount(draft, name)
  if (bound === undefined && !isOpen) return inUse(name, key, rules)
  keepAccount(draft, name, { ...account, publicKey: key })
  return accepted
}

function inUse(name: string, key: Address, { speakers }: MarketRules) {
  const who = excerpt(name)
  const advice =
    speakers === 'gateways'
      ? `only a gateway of the genesis can bind it: have one send {"action":"register","public_key":"${key}"} as ${who}`
      : 'only a gateway of the genesis can bind a name that is in use, and this genesis names none; choose another name'
  return decline('name-taken', `${who} has an account already, and no key; ${advice}`)
}

function nameIn(fields: Fields): string {
  const name = fields.get('name')
  return typeof name === 'string' && isName(name) ? name : fields.refuse('name', nameExpected)
}

/** The key to bind. Who brings his own signs with it, so that nobody can bind a name to a key that is not there. */
function keyIn(fields: Fields, { sender, signer, right }: StatedTransaction, bound: Address | undefined): Address {
  const given = fields.get('public_key')
  if (given === undefined && (right === 'own' || right === 'anyone')) return signer
  // An id covers the data, but not the key that signs for a name: a stranger's register must not be the same transaction.
  if (given === undefined && right === 'none') {
    return fields.refuse('public_key', `the key to bind, such as "${signer}", which signs; add it to data`)
  }
  const key = typeof given === 'string' ? addressOf(given) : undefined
  if (key === undefined)
    return fields.refuse('public_key', 'an address (64 lowercase hex digits) or a PEM, of a proper Ed25519 key')
  const ownOnly = isAddress(sender) || (right === 'none' && bound === undefined)
  if (ownOnly && key !== signer)
    fields.refuse(
      'public_key',
      right === 'none' ? `the key that signs, ${signer}` : `the key that signs, ${signer}, or nothing`,
    )
  return key
}

function addressOf(text: string): Address | undefined {
  const key = text.startsWith('-----') ? publicKeyOfPem(text) : publicKeyOf(text)
  return key.ok ? key.value.address : undefined
}
