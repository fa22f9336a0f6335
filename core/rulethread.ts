import { Worker } from 'node:worker_threads'
import { checkByRule } from './chain/signature.ts'
import type { Question, Reply } from './ruleworker.ts'
import type { SignatureCheck } from './runtime.ts'

// The source is run as it is, and a build has compiled files side by side: the worker is found in either.
const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './ruleworker.ts' : './ruleworker.js', import.meta.url)

interface Waiting {
  readonly check: SignatureCheck
  readonly resolve: (valid: boolean) => void
}

/**
 * Signature checks by the rule (chain/signature.ts), about half a millisecond each, in a thread of their own. It is
 * started by the first of them: a node that is sent good signatures only never has it. Whoever asks bounds how many wait.
 */
export class RuleThread {
  readonly #onFault: (error: unknown) => void
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #worker: Worker | undefined
  #isBroken = false

  /** `onFault` hears why the thread is no more. */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault
  }

  verify(check: SignatureCheck): Promise<boolean> {
    if (this.#isBroken) return Promise.resolve(checkByRule(check))
    return new Promise((resolve) => {
      const id = ++this.#asked
      this.#waiting.set(id, { check, resolve })
      const worker = (this.#worker ??= this.#start())
      worker.ref() // Only while somebody waits: a thread alone keeps no process alive.
      const question: Question = { id, ...copyOf(check) }
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(question)
    })
  }

  #start(): Worker {
    const worker = new Worker(workerUrl)
    worker.on('message', ({ id, valid }: Reply) => this.#settle(id, valid))
    worker.on('error', (error) => this.#broke(error))
    worker.on('exit', (code) => this.#broke(new Error(`the thread for signature checks ended with code ${code}`)))
    return worker
  }

  /** Without the thread the answers cost this one their time, but they are right. */
  #broke(error: unknown): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.#onFault(error)
    for (const [id, { check }] of this.#waiting) this.#settle(id, checkByRule(check))
  }

  #settle(id: number, valid: boolean): void {
    this.#waiting.get(id)?.resolve(valid)
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#worker?.unref()
  }
}

/** A view is cloned with all that lies under it, which may be a pool of many others' bytes. */
const copyOf = ({ publicKey, message, signature }: SignatureCheck): SignatureCheck => ({
  publicKey: new Uint8Array(publicKey),
  message: new Uint8Array(message),
  signature: new Uint8Array(signature),
})
