/** Lets one waiter sleep until something has changed. A ring that nobody waits for is kept for whoever waits next. */
export class Signal {
  #rung = false
  #wake: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#wake?.()
  }

  async wait(): Promise<void> {
    if (!this.#rung) await new Promise<void>((wake) => (this.#wake = wake))
    this.#wake = undefined
    this.#rung = false
  }
}
