import type { Files } from '../../core/index.ts'

/** Files of one host, in memory. */
export function memoryFiles(): Files {
  const files = new Map<string, { readonly text: string; readonly mode: number }>()
  return {
    readText: (path) => files.get(path)?.text,
    createText(path, text, mode) {
      if (files.has(path)) throw failed('EEXIST', `file already exists, open '${path}'`)
      files.set(path, { text, mode })
    },
    appendText(path, text, mode) {
      const file = files.get(path)
      files.set(path, { text: (file?.text ?? '') + text, mode: file?.mode ?? mode })
    },
    size(path) {
      const file = files.get(path)
      return file && Buffer.byteLength(file.text)
    },
    makeDirectory: () => {},
    mode(path) {
      const file = files.get(path)
      if (file === undefined) throw failed('ENOENT', `no such file, stat '${path}'`)
      return file.mode
    },
  }
}

const failed = (code: string, message: string): Error => Object.assign(new Error(`${code}: ${message}`), { code })
