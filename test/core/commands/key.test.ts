import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { execFileSync } from 'node:child_process'
import { statSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { command } from '../../../core/commands/key.ts'
import { failure, testIo, type TestIo } from './testio.ts'

let io: TestIo
beforeEach(() => (io = testIo()))
afterEach(() => io.remove())

interface Shown {
  readonly address: string
  readonly node_id: string
  readonly public_key_pem: string
}
const shown = (): Shown => JSON.parse(io.stdout) as Shown

describe('aurex key new', () => {
  test('makes a key that is its owner’s alone, and says what it is', async () => {
    expect(await command.run(['new', '--out', 'key.pem'], io)).toBe(0)
    expect(statSync(join(io.cwd, 'key.pem')).mode & 0o777).toBe(0o600)
    expect(io.stdout).toMatch(/^address: {5}[0-9a-f]{64}\nnode id: {5}[0-9a-f-]{36}\n-----BEGIN PUBLIC KEY-----\n/)
    expect(io.stdout).toContain('private key: key.pem')
    expect(io.stdout).not.toContain('BEGIN PRIVATE KEY')
  })

  test('never overwrites', async () => {
    io.file('key.pem', 'something')
    const running = command.run(['new', '--out', 'key.pem'], io)
    expect(await failure(running)).toMatchObject({ code: 'file-exists', exit: 64 })
    expect(readFileSync(join(io.cwd, 'key.pem'), 'utf8')).toBe('something')
  })
})

describe('aurex key show', () => {
  test('says of its own key what openssl says', async () => {
    await command.run(['new', '--out', 'key.pem', '--json'], io)
    const made = shown()
    const openssl = execFileSync('openssl', ['pkey', '-in', 'key.pem', '-pubout'], { cwd: io.cwd, encoding: 'utf8' })
    expect(made.public_key_pem).toBe(openssl)
    io.stdout = ''
    await command.run(['show', 'key.pem', '--json'], io)
    expect(shown()).toEqual(made)
  })

  test('reads a key that openssl made', async () => {
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', 'key.pem'], { cwd: io.cwd })
    const openssl = execFileSync('openssl', ['pkey', '-in', 'key.pem', '-pubout'], { cwd: io.cwd, encoding: 'utf8' })
    expect(await command.run(['show', 'key.pem', '--json'], io)).toBe(0)
    expect(shown().public_key_pem).toBe(openssl)
  })

  // RFC 8410, 10.3: the example key; its public key is the one of RFC 8410, 10.1.
  test('RFC 8410’s example, with a warning that others may read it', async () => {
    io.file(
      'key.pem',
      '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n',
    )
    await command.run(['show', 'key.pem'], io)
    expect(io.stdout).toContain('MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=')
    expect(io.stdout).toContain('19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1')
    expect(io.stderr).toContain('chmod 600')
  })

  test.each([
    [['show', 'missing.pem'], 'no-key-file', 78],
    [['show'], 'missing-value', 64],
    [['new'], 'missing-value', 64],
    [['shwo', 'x'], 'missing-value', 64],
    [['show', 'x', '--out', 'y'], 'bad-value', 64],
    [['show', 'x', 'y'], 'unexpected-argument', 64],
    [[], 'missing-value', 64],
  ])('%j is %s', async (argv, code, exit) => {
    expect(await failure(command.run(argv, io))).toMatchObject({ code, exit })
  })
})
