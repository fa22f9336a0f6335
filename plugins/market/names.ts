import { isAddress, publicKeyOf } from '../../core/index.ts'

// Who takes part: a name, or the address of a key. Text is kept byte for byte: two spellings are two names.

const nameCharactersMax = 128
export const nameExpected = `a name of 1 to ${nameCharactersMax} characters, which is not 64 hex digits`
export const personExpected = `a name of 1 to ${nameCharactersMax} characters, or the address of a proper key (64 lowercase hex digits)`

/** 64 hex digits are the address of a key, and in capitals they would be mistaken for it. */
export const isName = (text: string): boolean => hasLength(text, 1, nameCharactersMax) && !isAddress(text.toLowerCase())

/** A name, or an address: of a proper key, since what somebody else's slip of the finger gets is lost. */
export const isPerson = (text: string): boolean => isName(text) || publicKeyOf(text).ok

/** Characters are code points. Lone surrogates have no UTF-8, so a text with one has no length at all. */
export function hasLength(text: string, charactersMin: number, charactersMax: number): boolean {
  // Two code units a character at most: what is longer need not be counted.
  if (text.length > 2 * charactersMax || !text.isWellFormed()) return false
  const characters = Array.from(text).length
  return characters >= charactersMin && characters <= charactersMax
}
