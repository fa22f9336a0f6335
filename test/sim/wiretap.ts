import { isObject, type JsonObject } from '../../core/chain/json.ts'

/** What bears signatures of nodes, on its way: whole blocks, headers with short ids, votes. */
const watched = /"type":"(?:new_block|compact_block|finality_vote|bft\.[a-z_]+)"/
/** Gossip says the same to everybody. */
const rememberedMax = 20_000

/** Reads what nodes send each other, whoever sends it: each message of interest once. */
export class Wiretap {
  readonly #heard: (message: JsonObject) => void
  readonly #seen = new Set<string>()

  constructor(heard: (message: JsonObject) => void) {
    this.#heard = heard
  }

  /** One direction of one connection. What a peer sends that is no line of JSON is passed over. */
  line(): (bytes: Uint8Array) => void {
    let begun = ''
    return (bytes) => {
      const lines = (begun + Buffer.from(bytes).toString('latin1')).split('\n')
      begun = lines.pop()!
      for (const line of lines) this.#read(line)
    }
  }

  #read(line: string): void {
    if (!watched.test(line) || this.#seen.has(line)) return
    if (this.#seen.size >= rememberedMax) this.#seen.clear()
    this.#seen.add(line)
    const message = parsed(line)
    if (message !== undefined) this.#heard(message)
  }
}

function parsed(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(line, 'latin1').toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}
