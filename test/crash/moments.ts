// When a node that signs is killed.
import { closeSync, openSync, readSync } from 'node:fs'

export interface Scene {
  /** 0 to 1. */
  readonly roll: () => number
  readonly kill: () => void
  /** Sends one transaction more; resolves with its answer, or when there is none any more. */
  readonly submit: () => Promise<void>
  /** Calls back once, inside the read of the first bytes from the node that hold this. */
  readonly whenRead: (text: string, then: () => void) => void
  /** The ledger's file. */
  readonly ledger: string
}

export interface Moment {
  readonly name: string
  /** Resolves when the node was told to die. Throws where the moment does not come. */
  readonly wait: (scene: Scene) => Promise<void>
}

const longestMilliseconds = 6
/** A transaction, a block, two votes and what follows from each: all are committed one after the other. */
const commitsMax = 6
const watchMilliseconds = 150
/** What is waited for comes within that, or the node does nothing. */
const patienceMilliseconds = 3_000

export const moments: readonly Moment[] = [
  {
    name: 'after a transaction was sent',
    async wait({ roll, kill, submit }) {
      void submit()
      await sent()
      spin(roll() * longestMilliseconds)
      kill()
    },
  },
  {
    name: 'when a transaction is acknowledged',
    wait: async ({ roll, kill, submit }) => {
      await submit()
      spin((roll() * longestMilliseconds) / 2)
      kill()
    },
  },
  { name: 'when the first byte of a block arrives', wait: (scene) => whenRead(scene, '"type":"new_block"') },
  { name: 'when the first byte of a vote arrives', wait: (scene) => whenRead(scene, '"type":"finality_vote"') },
  {
    name: 'when something is committed',
    async wait({ roll, kill, submit, ledger }) {
      const commits = new Commits(ledger)
      void submit()
      await sent()
      commits.spin(1 + Math.floor(roll() * commitsMax))
      kill()
      commits.close()
    },
  },
]

async function whenRead({ kill, submit, whenRead: read }: Scene, text: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  read(text, () => {
    kill()
    resolve(true)
  })
  void submit()
  const came = await Promise.race([promise, Bun.sleep(patienceMilliseconds)])
  if (came !== true) throw new Error(`nothing was heard for ${patienceMilliseconds} ms`)
}

/** Until what was written to sockets has left. */
const sent = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** No timer is as fine as that. */
function spin(milliseconds: number): void {
  const until = performance.now() + milliseconds
  while (performance.now() < until);
}

/**
 * The commits of another process, as soon as there are any: the counter that SQLite keeps in the file of shared memory beside
 * the ledger (https://sqlite.org/walformat.html, 2.1: iChange).
 */
class Commits {
  readonly #file: number
  readonly #counter = new Uint8Array(4)

  constructor(ledger: string) {
    this.#file = openSync(`${ledger}-shm`, 'r')
  }

  /** Until there were so many, or for a while. */
  spin(count: number): void {
    const until = performance.now() + watchMilliseconds
    let before = this.#read()
    for (let seen = 0; seen < count && performance.now() < until;) {
      const now = this.#read()
      if (now !== before) seen++
      before = now
    }
  }

  close(): void {
    closeSync(this.#file)
  }

  #read(): number {
    readSync(this.#file, this.#counter, 0, 4, 8)
    return new DataView(this.#counter.buffer).getUint32(0, true)
  }
}
