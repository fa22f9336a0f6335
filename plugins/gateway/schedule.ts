/**
 * What is due when, for any number of keys. Delays are few and fixed, so a lane for each is in order by itself, and
 * nothing is ever sorted or searched.
 */
export class Schedule {
  /** By delay. */
  readonly #lanes = new Map<number, Lane>()

  /** `delay`: milliseconds, one of a few. A key stands in one lane only: the caller removes it first. */
  add(key: string, delay: number, now: number): void {
    let lane = this.#lanes.get(delay)
    if (lane === undefined) this.#lanes.set(delay, (lane = new Lane()))
    lane.add(key, now + delay)
  }

  /** The one that has been due longest, which then stands nowhere; undefined while none is. */
  take(now: number): string | undefined {
    let oldest: { key: string; due: number; lane: Lane } | undefined
    for (const lane of this.#lanes.values()) {
      const first = lane.first()
      if (first === undefined || first.due > now || (oldest !== undefined && oldest.due <= first.due)) continue
      oldest = { ...first, lane }
    }
    oldest?.lane.delete(oldest.key)
    return oldest?.key
  }

  remove(key: string): void {
    for (const lane of this.#lanes.values()) lane.delete(key)
  }

  /** Makes due at once what `which` says, in the order of `keys`. */
  hasten(keys: Iterable<string>, now: number): void {
    for (const key of keys) {
      let stood = false
      for (const lane of this.#lanes.values()) stood = lane.delete(key) || stood
      // One that stands nowhere is being looked at.
      if (stood) this.add(key, 0, now)
    }
  }
}

interface Place {
  readonly key: string
  /** Milliseconds of the monotonic clock. */
  readonly due: number
}

/** So many places that are behind are let go at once. */
const behindMax = 1_024

/** Keys in the order in which they came. A Map alone would step over all that was deleted before its first one. */
class Lane {
  readonly #due = new Map<string, number>()
  /** Also those that were deleted since: what counts is what `#due` says. */
  #places: Place[] = []
  #front = 0

  add(key: string, due: number): void {
    this.#due.set(key, due)
    this.#places.push({ key, due })
  }

  delete(key: string): boolean {
    return this.#due.delete(key)
  }

  first(): Place | undefined {
    for (; this.#front < this.#places.length; this.#front++) {
      const place = this.#places[this.#front]!
      if (this.#due.get(place.key) === place.due) {
        this.#letGo()
        return place
      }
    }
    this.#places = []
    this.#front = 0
    return undefined
  }

  #letGo(): void {
    if (this.#front < behindMax || this.#front < this.#places.length / 2) return
    this.#places = this.#places.slice(this.#front)
    this.#front = 0
  }
}
