import { resolve } from 'node:path'
import type { KeyPair } from '../chain/keys.ts'
import { exitCode, suggestion } from '../errors.ts'
import { createKeyFile, openKeyFile } from '../keyfile.ts'
import type { Command, Io } from './command.ts'
import { readFlags, usageError } from './flags.ts'
import { paint } from './terminal.ts'

const help = `Makes a key, or shows the public side of one.

  aurex key new --out key.pem          a new Ed25519 key, readable by you alone
  aurex key show key.pem               its address, node id and public key
  aurex key show key.pem --json        the same for a script

Usage: aurex key new --out <file> [--json]
       aurex key show <file> [--json]

  --out <file>   where the new key goes; a file that is there is kept
  --json         one JSON object: address, node_id, public_key_pem

A key is a PKCS#8 PEM file, as 'openssl genpkey -algorithm ed25519' makes one.
The address is what transactions have as sender; the node id is derived from it.
`

export const command: Command = { name: 'key', summary: 'make a key, or show its public side', help, run }

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { positionals, ...read } = readFlags(argv, {
    command: 'aurex key',
    flags: { out: { type: 'string' }, json: { type: 'boolean' } },
    positionals: ['new|show', 'file'],
  })
  if (read.help) {
    io.out(help)
    return exitCode.ok
  }
  const { out, json } = read.values
  const [action, file] = positionals
  switch (action) {
    case 'new':
      return makeKey(file, out, json, io)
    case 'show':
      if (out !== undefined) throw usageError('bad-value', 'aurex key show: --out belongs to aurex key new')
      return showKey(file, json, io)
    default:
      throw usageError('missing-value', `aurex key: expected new or show${whatInstead(action)}; see: aurex key --help`)
  }
}

const whatInstead = (action: string | undefined): string =>
  action === undefined ? '' : `, got ${JSON.stringify(action)}${suggestion(action, ['new', 'show'])}`

function makeKey(file: string | undefined, out: string | undefined, json: boolean, io: Io): number {
  if (file !== undefined || out === undefined) {
    throw usageError('missing-value', `aurex key new: name the file with --out ${file ?? 'key.pem'}`)
  }
  const key = createKeyFile(io.runtime.files, resolve(io.cwd, out), (length) => io.runtime.random(length))
  if (json) return printJson(key, io)
  print(key, io)
  io.out(`private key: ${out} (keep it: nobody can make it again)\n`)
  return exitCode.ok
}

function showKey(file: string | undefined, json: boolean, io: Io): number {
  if (file === undefined) throw usageError('missing-value', 'aurex key show: name the key file: aurex key show key.pem')
  const { key, warning } = openKeyFile(io.runtime.files, resolve(io.cwd, file))
  if (warning !== undefined) io.err(`${paint(io, 'yellow', 'warning:')} ${warning}\n`)
  if (json) return printJson(key, io)
  print(key, io)
  return exitCode.ok
}

function print(key: KeyPair, io: Io): void {
  io.out(`address:     ${key.address}\nnode id:     ${key.nodeId}\n${key.pem}`)
}

function printJson(key: KeyPair, io: Io): number {
  io.out(`${JSON.stringify({ address: key.address, node_id: key.nodeId, public_key_pem: key.pem })}\n`)
  return exitCode.ok
}
