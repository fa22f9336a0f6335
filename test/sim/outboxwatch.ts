import type { Hash } from '../../core/chain/canonical.ts'
import type { OutboxEntry, Storage } from '../../core/index.ts'

const entriesAtOnce = 100

/** Reads what a node's outbox tells, as somebody does who must not miss anything, and keeps it over the node's crashes. */
export class OutboxWatch {
  /** All that was ever told, oldest first. */
  readonly #told: OutboxEntry[] = []
  /** What they lead to: the recorded chain, by height. */
  readonly #chain: Hash[]
  /** And up to where it stays. */
  #final = 0

  constructor(chainId: Hash) {
    this.#chain = [chainId]
  }

  /** Reads on. Text: what is wrong with it. */
  read(storage: Storage): string | undefined {
    for (const entry of entriesOf(storage, this.#told.at(-1)?.sequence)) {
      const fault = this.#take(entry)
      if (fault !== undefined) return fault
    }
    return this.#differenceFrom(storage, storage.head().header.index)
  }

  /** Reads all of it again: what was told once stays so, a crash or two later too. */
  reread(storage: Storage): string | undefined {
    const again = entriesOf(storage)
    for (const told of this.#told) {
      const { value: entry } = again.next()
      if (!entry || textOf(entry) !== textOf(told)) {
        return `${textOf(told)} was told once, and now ${entry ? textOf(entry) : 'nothing'}`
      }
      if (told.kind !== 'applied') continue
      const { sequence } = storage.appliedAt(told.index, told.sequence) ?? {}
      if (sequence !== told.sequence) return `${textOf(told)} is not found by its height: ${sequence}`
    }
    return this.read(storage) ?? this.#differenceFrom(storage, 0)
  }

  #take(entry: OutboxEntry): string | undefined {
    const { kind, index, hash, sequence } = entry
    if (sequence <= (this.#told.at(-1)?.sequence ?? 0))
      return `${textOf(entry)} comes after ${textOf(this.#told.at(-1)!)}`
    this.#told.push(entry)
    const top = this.#chain.length - 1
    if (kind === 'applied' && index === top + 1) this.#chain.push(hash)
    else if (kind === 'undone' && index === top && index > this.#final && hash === this.#chain[top]) this.#chain.pop()
    else if (kind === 'final' && index > this.#final && hash === this.#chain[index]) this.#final = index
    else return `${textOf(entry)} was told while block ${top} was ${this.#chain[top]}, block ${this.#final} final`
    return undefined
  }

  #differenceFrom(storage: Storage, lowest: number): string | undefined {
    const head = storage.head().header
    if (this.#chain.length - 1 !== head.index)
      return `it leads to height ${this.#chain.length - 1}, the head is ${head.index}`
    if (storage.outboxEnd() !== (this.#told.at(-1)?.sequence ?? 0))
      return `its end is said to be ${storage.outboxEnd()}`
    if (storage.finalHeight() !== this.#final)
      return `it calls block ${this.#final} final, the ledger block ${storage.finalHeight()}`
    for (let index = head.index; index >= lowest; index--) {
      const hash = storage.headerAt(index)!.header.current_hash
      if (hash !== this.#chain[index]) return `it leads to block ${index}, ${this.#chain[index]}; recorded is ${hash}`
    }
    return undefined
  }
}

function* entriesOf(storage: Storage, after = 0): Generator<OutboxEntry, undefined> {
  for (;;) {
    const entries = storage.outbox(after, entriesAtOnce)
    yield* entries
    if (entries.length < entriesAtOnce) return undefined
    after = entries.at(-1)!.sequence
  }
}

const textOf = ({ sequence, kind, index, hash }: OutboxEntry): string => `entry ${sequence}, ${kind} ${index} ${hash}`
