/**
 * What is due when, for any number of keys. Delays are few and fixed, so a lane for each is in order by itself, and
 * nothing is ever sorted or searched.
 */
export class Schedule {
  /** By delay. Each lane: key to when it is due, in milliseconds of the monotonic clock. */
  readonly #lanes = new Map<number, Map<string, number>>()

  /** `delay`: milliseconds, one of a few. A key stands in one lane only: the caller removes it first. */
  add(key: string, delay: number, now: number): void {
    let lane = this.#lanes.get(delay)
    if (lane === undefined) this.#lanes.set(delay, (lane = new Map()))
    lane.set(key, now + delay)
  }

  /** The one that has been due longest, which then stands nowhere; undefined while none is. */
  take(now: number): string | undefined {
    let oldest: { key: string; due: number; lane: Map<string, number> } | undefined
    for (const lane of this.#lanes.values()) {
      const [first] = lane
      if (first === undefined || first[1] > now || (oldest !== undefined && oldest.due <= first[1])) continue
      oldest = { key: first[0], due: first[1], lane }
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
