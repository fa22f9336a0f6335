import type { Files } from '../../core/index.ts'
import { Dice } from './dice.ts'
import { Tally, type FaultKind } from './faults.ts'

export interface DiskParts {
  readonly dice: Dice
  readonly tally: Tally<FaultKind>
  /** The disk was synced: whoever waited for it has lost time. */
  readonly synced: () => void
  /** The power goes during a write. The host must be dead when this returns. */
  readonly powerGoes: () => void
}

/** A file of one host. What is appended is sure to be there after a power cut only when it was synced. */
export interface DiskFile {
  text(): string
  append(text: string): void
  sync(): void
  /** Keeps so many characters; synced at once. */
  truncate(length: number): void
}

/** The disk of one host: it outlives the host's processes. A reference to it from a dead process does nothing. */
export class Disk {
  readonly #parts: DiskParts
  readonly #files = new Map<string, Stored>()
  /** By whom each path is held: a process that is dead holds none. */
  readonly #held = new Map<string, { readonly boot: number }>()
  /** Goes up with every start of the host: writes of a process that is dead are not carried out. */
  #boot = 0
  /** Writes and syncs until the power goes; undefined: it stays. */
  #untilPowerCut: number | undefined

  constructor(parts: Partial<DiskParts> = {}) {
    this.#parts = {
      dice: parts.dice ?? new Dice('disk'),
      tally: parts.tally ?? new Tally(),
      synced: parts.synced ?? (() => {}),
      powerGoes: parts.powerGoes ?? (() => {}),
    }
  }

  /**
   * The power goes in the middle of the so-many-eth write or sync from now. The call returns, to a process that is dead:
   * nothing that it does from then on reaches the world.
   */
  cutPowerIn(operations: number): void {
    this.#untilPowerCut = operations
  }

  /** The power stays, whatever was arranged. */
  keepPower(): void {
    this.#untilPowerCut = undefined
  }

  /** The file of this path for the process that runs now; it need not exist yet. */
  open(path: string): DiskFile {
    const boot = this.#boot
    const file = (): Stored => {
      const stored = this.#files.get(path) ?? { mode: 0o600, synced: [], unsynced: [] }
      this.#files.set(path, stored)
      return stored
    }
    return {
      text: () => textOf(this.#files.get(path)),
      append: (text) => this.#operation(boot, () => void file().unsynced.push(text)),
      sync: () => this.#operation(boot, () => this.#sync(file()), false),
      truncate: (length) => this.#operation(boot, () => truncate(file(), length), false),
    }
  }

  files(): Files {
    const boot = this.#boot
    return {
      readText: (path) => (this.#files.has(path) ? textOf(this.#files.get(path)) : undefined),
      createText: (path, text, mode) => {
        if (this.#files.has(path)) throw failed('EEXIST', `file already exists, open '${path}'`)
        this.#write(boot, path, text, mode)
      },
      appendText: (path, text, mode) => this.#write(boot, path, text, mode),
      size: (path) => (this.#files.has(path) ? Buffer.byteLength(textOf(this.#files.get(path))) : undefined),
      makeDirectory: () => {},
      mode: (path) => {
        const file = this.#files.get(path)
        if (file === undefined) throw failed('ENOENT', `no such file, stat '${path}'`)
        return file.mode
      },
      hold: (path) => this.#hold(boot, path),
    }
  }

  #hold(boot: number, path: string): (() => void) | undefined {
    if (!this.#files.has(path)) throw failed('ENOENT', `no such file, hold '${path}'`)
    if (this.#held.get(path)?.boot === this.#boot) return undefined
    const hold = { boot }
    this.#held.set(path, hold)
    return () => {
      if (this.#held.get(path) === hold) this.#held.delete(path)
    }
  }

  /** The process is gone. `power`: and with it what was on the way to the disk, all of it or a part. */
  crash(power: boolean): void {
    this.#boot++
    this.#untilPowerCut = undefined
    if (power) for (const file of this.#files.values()) this.#lose(file)
  }

  #write(boot: number, path: string, text: string, mode: number): void {
    this.#operation(boot, () => {
      const file = this.#files.get(path) ?? { mode, synced: [], unsynced: [] }
      this.#files.set(path, file)
      file.unsynced.push(text)
    })
    this.#operation(boot, () => this.#sync(this.#files.get(path)!), false)
  }

  #sync(file: Stored): void {
    file.synced.push(...file.unsynced)
    file.unsynced.length = 0
    this.#parts.synced()
  }

  #operation(boot: number, run: () => void, isWrite = true): void {
    if (boot !== this.#boot) return
    if (this.#untilPowerCut !== undefined && --this.#untilPowerCut <= 0) {
      this.#untilPowerCut = undefined
      // What it was about to write is not on the disk yet, and may never be: `crash` decides. A sync does nothing more.
      if (isWrite) run()
      this.#parts.powerGoes()
      return
    }
    run()
  }

  /** A power cut: of what was not synced a random beginning is there, its end perhaps spoilt. */
  #lose(file: Stored): void {
    const { dice, tally } = this.#parts
    const written = file.unsynced.join('')
    file.unsynced.length = 0
    if (written === '') return
    const kept = dice.chance(0.3) ? '' : written.slice(0, dice.between(0, written.length))
    if (kept.length < written.length) tally.add(kept === '' ? 'lost-write' : 'torn-write')
    // The last sector may hold what was there before.
    const spoilt = dice.chance(0.3) ? Math.min(kept.length, dice.between(1, 64)) : 0
    if (kept !== '') file.synced.push(kept.slice(0, kept.length - spoilt) + '\0'.repeat(spoilt))
  }
}

interface Stored {
  readonly mode: number
  readonly synced: string[]
  readonly unsynced: string[]
}

const textOf = (file: Stored | undefined): string =>
  file === undefined ? '' : file.synced.join('') + file.unsynced.join('')

function truncate(file: Stored, length: number): void {
  const text = textOf(file).slice(0, length)
  file.unsynced.length = 0
  file.synced.splice(0, Infinity, text)
}

const failed = (code: string, message: string): Error => Object.assign(new Error(`${code}: ${message}`), { code })
