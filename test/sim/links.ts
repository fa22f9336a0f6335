/**
 * Which hosts reach which. What is sent where the way is cut waits, as TCP sends it again and again, and arrives when
 * the way is open: a partition that is over looks like a long delay, unless somebody has given up meanwhile.
 */
export class Links {
  readonly #cut = new Set<string>()
  readonly #waiting = new Map<string, (() => void)[]>()

  isOpen(from: string, to: string): boolean {
    return this.#cut.size === 0 || !this.#cut.has(way(from, to))
  }

  /** One direction only. */
  cut(from: string, to: string): void {
    if (from !== to) this.#cut.add(way(from, to))
  }

  cutBoth(a: string, b: string): void {
    this.cut(a, b)
    this.cut(b, a)
  }

  get cuts(): number {
    return this.#cut.size
  }

  wait(from: string, to: string, arrive: () => void): void {
    const key = way(from, to)
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) this.#waiting.set(key, [arrive])
    else waiting.push(arrive)
  }

  /** Opens every way; returns what waited, in the order of its sending on each way. */
  heal(): (() => void)[] {
    this.#cut.clear()
    const arrivals = [...this.#waiting.values()].flat()
    this.#waiting.clear()
    return arrivals
  }
}

const way = (from: string, to: string): string => `${from}>${to}`
