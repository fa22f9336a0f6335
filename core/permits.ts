/** So many at a time; the others wait for their turn, in order. */
export class Permits {
  readonly #waiting: (() => void)[] = []
  #free: number

  constructor(count: number) {
    this.#free = count
  }

  take(): Promise<void> {
    if (this.#free === 0) return new Promise((go) => this.#waiting.push(go))
    this.#free--
    return Promise.resolve()
  }

  /** Hands the permit to whoever waits longest, so that nobody who comes now can slip in between. */
  give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
