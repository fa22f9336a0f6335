import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bunRuntime } from '../../core/bun.ts'
import { createKeyFile, openKeyFile, openOrCreate } from '../../core/keyfile.ts'
import type { Files } from '../../core/runtime.ts'

const runtime = bunRuntime()
const { files } = runtime
const random = (length: number) => runtime.random(length)
const seed = (length: number) => new Uint8Array(length).fill(7)
let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aurex-key-'))
  path = join(folder, 'key.pem')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('key files', () => {
  test('the dice make the key, and the file gives it back', () => {
    const made = createKeyFile(files, path, seed)
    // RFC 8032: the public key of the seed 07 07 .. 07.
    expect(made.address).toBe('ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c')
    expect(openKeyFile(files, path)).toMatchObject({ key: { address: made.address } })
    expect(openKeyFile(files, path).warning).toBeUndefined()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('a file that is there is kept', () => {
    const made = createKeyFile(files, path, random)
    expect(() => createKeyFile(files, path, random)).toThrow('there is a file already')
    expect(openKeyFile(files, path).key.address).toBe(made.address)
  })

  test('a file that others may use is warned of', () => {
    createKeyFile(files, path, random)
    chmodSync(path, 0o640)
    expect(openKeyFile(files, path).warning).toContain('mode 0640, expected 0600')
    chmodSync(path, 0o400)
    expect(openKeyFile(files, path).warning).toBeUndefined()
  })

  test('what is no key is named', () => {
    expect(() => openKeyFile(files, path)).toThrow('no such file')
    writeFileSync(path, 'rubbish')
    expect(() => openKeyFile(files, path)).toThrow(`${path}: expected the PKCS#8 PEM`)
    expect(() => openKeyFile(files, folder)).toThrow('cannot be read')
    expect(() => createKeyFile(files, join(folder, 'no/where.pem'), random)).toThrow('cannot be written')
  })
})

describe('openOrCreate', () => {
  test('makes the folder and the key once', () => {
    const deep = join(folder, 'a/b/key.pem')
    const first = openOrCreate(files, deep, random)
    const second = openOrCreate(files, deep, random)
    expect([first.created, second.created]).toEqual([true, false])
    expect(second.key.address).toBe(first.key.address)
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700)
  })

  test('the key of a faster process is the one', () => {
    const other: { address?: string } = {}
    const raced: Files = {
      ...files,
      createText(at, text, mode) {
        other.address ??= createKeyFile(files, path, random).address
        files.createText(at, text, mode)
      },
    }
    const opened = openOrCreate(raced, path, random)
    expect(opened.created).toBe(false)
    expect(opened.key.address).toBe(other.address!)
  })
})
