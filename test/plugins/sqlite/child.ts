// A process of its own for tests of locks, kills and limits: `bun child.ts hold|fill|sign|refused <path>`.
import { AurexError } from '../../../core/errors.ts'
import { openLedger } from '../../../plugins/sqlite/index.ts'
import { adding, genesis, makeChain, storedAt } from '../../contract/storage.ts'

const [task, path] = process.argv.slice(2) as [string, string]
const say = (text: string) => process.stdout.write(`${text}\n`)

/** Opens the ledger, commits one block, says so, and stays until it is killed. */
function hold(): void {
  const ledger = openLedger(path)
  ledger.begin(genesis, genesis.block, storedAt)
  ledger.commit(adding(...makeChain(genesis.block, 3, 0n)))
  say(`holds ${ledger.head().header.current_hash}`)
  // Somebody must refer to it: a ledger that is collected lets go of its file.
  process.stdin.once('end', () => ledger.close())
  process.stdin.resume()
}

/** Commits blocks, saying the height of each, until one is refused; then reads, and says why it was refused. */
function fill(): void {
  const ledger = openLedger(path)
  ledger.begin(genesis, genesis.block, storedAt)
  let head = genesis.block
  try {
    for (;;) {
      const [next] = makeChain(head, 1, 0n)
      ledger.commit(adding(next!))
      head = next!.block
    }
  } catch (error) {
    const read = ledger.block(ledger.head().header.current_hash)
    say(`${codeOf(error)} ${head.index} ${read?.index}`)
  }
  process.kill(process.pid, 'SIGKILL')
}

/** Records blocks and keeps others beside, each with a record that counts them, until it is killed. */
function sign(): void {
  const ledger = openLedger(path)
  ledger.begin(genesis, genesis.block, storedAt)
  let head = genesis.block
  for (let count = 1; ; count++) {
    const records = (key: string) => [{ owner: 'signing', changes: [[key, String(count)]] as const }]
    const [next] = makeChain(head, 1, 0n)
    const [beside] = makeChain(head, 1, 0n, 5)
    ledger.commit({ ...adding(next!), records: records('recorded'), final: count })
    ledger.keepSide(beside!.block, 1n, [], records('beside'))
    head = next!.block
    say(`${count} ${count}`)
  }
}

/** Without the rights of root: opens, reads the head, tries to write; says what came of each. */
function refused(): void {
  if (process.getuid?.() === 0) {
    process.setgid?.(65_534)
    process.setuid?.(65_534)
  }
  say(`readonly ${attempt(() => String(openLedger(path, { readonly: true }).head().header.index))}`)
  const ledger = attempt(() => openLedger(path))
  if (typeof ledger === 'string') {
    say(`open ${ledger}`)
    return
  }
  const head = ledger.block(ledger.head().header.current_hash)!
  say(`read ${head.index}`)
  const write = attempt(() => {
    ledger.commit(adding(...makeChain(head, 1, 48n)))
    return 'done'
  })
  say(`write ${write}`)
}

function attempt<T>(run: () => T): T | string {
  try {
    return run()
  } catch (error) {
    return codeOf(error)
  }
}

const codeOf = (error: unknown): string => (error instanceof AurexError ? error.code : String(error))

const tasks: Record<string, () => void> = { hold, fill, sign, refused }
tasks[task]?.()
