/** Remembers what was added last: so many at least, twice as many at most. */
export class BoundedSet<T> {
  readonly #min: number
  // Two generations, of which the older one goes as a whole: JavaScriptCore steps over all that was deleted before the
  // oldest of one set.
  #young = new Set<T>()
  #old = new Set<T>()

  constructor(min: number) {
    this.#min = min
  }

  has(value: T): boolean {
    return this.#young.has(value) || this.#old.has(value)
  }

  add(value: T): void {
    this.#young.add(value)
    if (this.#young.size < this.#min) return
    this.#old = this.#young
    this.#young = new Set()
  }
}
