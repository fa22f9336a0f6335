// A plugin with a bug written into its source, for bugs that no method can be replaced by.
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadedPlugin } from '../../core/plugin.ts'
import { removeFolder, temporaryFolder } from '../support/process.ts'
import { undo } from './planting.ts'

const repository = join(import.meta.dir, '../..')

export interface Edit {
  readonly file: string
  readonly from: string
  readonly to: string
}

/** Loads a copy of a plugin in which pieces of its source are others. Throws where such a piece does not stand there once. */
export async function spoiltPlugin(name: string, edits: readonly Edit[]): Promise<LoadedPlugin> {
  const folder = temporaryFolder()
  undo.push(() => removeFolder(folder))
  mkdirSync(join(folder, 'plugins'))
  cpSync(join(repository, 'plugins', name), join(folder, 'plugins', name), { recursive: true })
  // The very core that runs: what is linked is loaded from where it is.
  for (const shared of ['core', 'node_modules', 'package.json']) {
    symlinkSync(join(repository, shared), join(folder, shared))
  }
  for (const { file, from, to } of edits) {
    const path = join(folder, 'plugins', name, file)
    const source = readFileSync(path, 'utf8')
    if (source.split(from).length !== 2) throw new Error(`${name}/${file}: expected once: ${from}`)
    writeFileSync(
      path,
      source.replace(from, () => to),
    )
  }
  const module = (await import(join(folder, 'plugins', name, 'index.ts'))) as { readonly default: LoadedPlugin }
  return module.default
}
