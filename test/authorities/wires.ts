import type { Dice } from '../sim/dice.ts'
import type { Member } from './member.ts'

const rejoinMilliseconds = [1_000, 3_000] as const

interface Time {
  readonly now: number
  readonly dice: Dice
  at(milliseconds: number, run: () => void): void
}

export const reaches = (one: Member, other: Member): boolean => one.up && other.up && one.group === other.group

/** Connections between members: late, in order, and lost with what is on its way. */
export class Wires {
  /** A share of messages that get lost with their connection. */
  loss = 0
  /** Milliseconds, of a message. */
  delayMax = 100
  readonly #time: Time
  readonly #rejoined: (one: Member, other: Member) => void
  readonly #arrivals = new Map<string, number>()
  /** Pairs whose connection is to be made again. */
  readonly #broken = new Set<string>()

  constructor(time: Time, rejoined: (one: Member, other: Member) => void) {
    this.#time = time
    this.#rejoined = rejoined
  }

  send(from: Member, to: Member, arrive: () => void): void {
    if (!reaches(from, to)) return
    const { now, dice } = this.#time
    if (dice.chance(this.loss)) return this.#lose(from, to)
    const link = `${from.place}>${to.place}`
    // Messages of one connection do not overtake each other.
    const time = Math.max(now + dice.between(1, this.delayMax), this.#arrivals.get(link) ?? 0)
    this.#arrivals.set(link, time)
    this.#time.at(time, () => reaches(from, to) && arrive())
  }

  /** It is the connection that is lost with a message, and it is made again. */
  #lose(from: Member, to: Member): void {
    const { now, dice } = this.#time
    const pair = from.place < to.place ? `${from.place}-${to.place}` : `${to.place}-${from.place}`
    if (this.#broken.has(pair)) return
    this.#broken.add(pair)
    this.#time.at(now + dice.between(...rejoinMilliseconds), () => {
      this.#broken.delete(pair)
      if (reaches(from, to)) this.#rejoined(from, to)
    })
  }
}
