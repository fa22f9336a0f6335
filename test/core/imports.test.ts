// The import laws of core/README.md, kept by reading the sources.
import { describe, expect, test } from 'bun:test'
import { Glob } from 'bun'
import { readFileSync } from 'node:fs'
import { join, normalize } from 'node:path'

const root = join(import.meta.dir, '../..')

interface Source {
  /** From the top of the project: `core/bus.ts`. */
  readonly path: string
  readonly text: string
}

const sources: readonly Source[] = ['core', 'plugins'].flatMap((folder) =>
  [...new Glob(`${folder}/**/*.ts`).scanSync(root)].map((path) => ({
    path,
    text: readFileSync(join(root, path), 'utf8'),
  })),
)

interface Import {
  readonly from: string
  readonly kind: 'static' | 'dynamic' | 'type'
}

/** Without comments and without what strings say, but with the quotes of imports. */
function code(text: string): string {
  // Strings, templates and comments in one pass: each may contain what looks like another. Expressions in templates
  // are code, and stay.
  return text.replace(/\/\*[^]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, (match) =>
    match.startsWith('/') ? ' ' : match,
  )
}
const withoutStrings = (text: string): string => code(text).replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''")

function imports(text: string): Import[] {
  const plain = code(text)
  const found: Import[] = []
  for (const [, type, , from] of plain.matchAll(
    /^\s*(?:import|export)\s+(type\s+)?([^'"();]*?from\s*)?['"]([^'"]+)['"]/gm,
  )) {
    found.push({ from: from!, kind: type === undefined ? 'static' : 'type' })
  }
  for (const [, from] of plain.matchAll(/\bimport\s*\(\s*['"]([^'"]+)['"]/g))
    found.push({ from: from!, kind: 'dynamic' })
  return found
}

const place = (path: string, from: string): string => (from.startsWith('.') ? normalize(join(path, '..', from)) : from)
const isPackage = (from: string): boolean => !from.startsWith('.') && !from.startsWith('/')

/** Where the clock, dice, timers and the console may be touched: the runtime port and the logger. */
const ports = ['core/bun.ts', 'core/log.ts']
const worldly = [
  /\bDate\.now\b/,
  /\bnew Date\(\s*\)/,
  /\bperformance\.now\b/,
  /\bMath\.random\b/,
  /\brandomBytes\b/,
  /\bset(?:Timeout|Interval|Immediate)\b/,
  /\bconsole\./,
  /\bBun\.sleep/,
]

/** What breaks a law, one line each. */
function violations({ path, text }: Source): string[] {
  const plugin = /^plugins\/([^/]+)\//.exec(path)?.[1]
  const wrong: string[] = []
  for (const { from, kind } of imports(text)) {
    const target = place(path, from)
    const broken = plugin === undefined ? lawOfCore(path, from, target, kind) : lawOfPlugins(plugin, from, target)
    if (broken !== undefined) wrong.push(`${path} imports ${from}: ${broken}`)
  }
  const plain = withoutStrings(text)
  if (plugin === undefined && path !== 'core/bun.ts' && /\bBun\./.test(plain)) {
    wrong.push(`${path} uses Bun: only core/bun.ts does`)
  }
  if (!ports.includes(path)) {
    for (const pattern of worldly) {
      const used = pattern.exec(plain)?.[0]
      if (used !== undefined) wrong.push(`${path} uses ${used}: time, dice, timers and console are the runtime's`)
    }
  }
  return wrong
}

function lawOfCore(path: string, from: string, target: string, kind: Import['kind']): string | undefined {
  if (target.startsWith('plugins/') && !(kind === 'dynamic' && path === 'core/builtin.ts')) {
    return 'core knows no plugin; core/builtin.ts alone lists them, with dynamic imports'
  }
  if (/^bun(:|$)/.test(from) && path !== 'core/bun.ts') return 'inside core only bun.ts touches Bun'
  if (path.startsWith('core/chain/') && kind !== 'type' && !isPackage(from)) {
    if (!target.startsWith('core/chain/') && target !== 'core/errors.ts') {
      return 'core/chain imports nothing above it but types'
    }
  }
  return undefined
}

function lawOfPlugins(plugin: string, from: string, target: string): string | undefined {
  if (isPackage(from)) return from.startsWith('aurex/') ? 'core has one door: aurex' : undefined
  if (target === 'core/index.ts' || target.startsWith(`plugins/${plugin}/`)) return undefined
  return 'a plugin imports core/index.ts, its own folder and packages'
}

test('there are sources to look at', () => {
  expect(sources.filter(({ path }) => path.startsWith('core/')).length).toBeGreaterThan(20)
  expect(sources.filter(({ path }) => path.startsWith('plugins/')).length).toBeGreaterThan(10)
})

test.each(sources.map((source) => [source.path, source] as const))('%s keeps the import laws', (_path, source) => {
  expect(violations(source)).toEqual([])
})

describe('the laws are broken by', () => {
  test.each([
    ['core/node.ts', `import pow from '../plugins/pow/index.ts'`],
    ['core/node.ts', `export { x } from '../plugins/pow/index.ts'`],
    ['core/node.ts', `import '../plugins/pow/index.ts'`],
    ['core/node.ts', `const pow = await import('../plugins/pow/index.ts')`],
    ['core/builtin.ts', `import pow from '../plugins/pow/index.ts'`],
    ['core/node.ts', `import type { Pow } from '../plugins/pow/index.ts'`],
    ['core/node.ts', `import { Database } from 'bun:sqlite'`],
    ['core/node.ts', `import { serve } from 'bun'`],
    ['core/node.ts', `Bun.serve({})`],
    ['core/chain/tx.ts', `import { createBus } from '../bus.ts'`],
    ['core/chain/tx.ts', `import {\n  a,\n  b,\n} from '../limits.ts'`],
    ['core/chain/tx.ts', `const x = await import('../bus.ts')`],
    ['plugins/a/index.ts', `import b from '../b/index.ts'`],
    ['plugins/a/index.ts', `import { Chain } from '../../core/chain/chain.ts'`],
    ['plugins/a/deep/er.ts', `import type { Chain } from '../../../core/chain/chain.ts'`],
    ['plugins/a/index.ts', `import { x } from 'aurex/plugins/b'`],
    ['plugins/a/index.ts', `const now = Date.now()`],
    ['plugins/a/index.ts', `const now = new Date()`],
    ['core/node.ts', `const x = Math.random()`],
    ['core/node.ts', `setTimeout(f, 1)`],
    ['core/node.ts', `const text = \`\${Date.now()}\``],
    ['core/node.ts', `console.log(1)`],
  ])('in %s: %s', (path, text) => {
    expect(violations({ path, text })).toHaveLength(1)
  })
})

describe('the laws are kept by', () => {
  test.each([
    ['core/builtin.ts', `const pow = () => import('../plugins/pow/index.ts')`],
    ['core/bun.ts', `import { x } from 'bun'\nBun.listen({}); setTimeout(f, Date.now())`],
    ['core/log.ts', `console.error(Date.now())`],
    ['core/chain/tx.ts', `import type { Limits } from '../limits.ts'\nimport { AurexError } from '../errors.ts'`],
    [
      'core/node.ts',
      `// never Date.now(), see '../plugins/pow/index.ts'\n/* import x from '../plugins/pow/index.ts' */`,
    ],
    ['core/node.ts', `const advice = 'Bun.serve and Math.random: // no'; const at = new Date(now)`],
    ['plugins/a/index.ts', `import { definePlugin } from '../../core/index.ts'\nimport { b } from './b.ts'`],
    ['plugins/a/index.ts', `import { definePlugin } from 'aurex'\nimport { Worker } from 'node:worker_threads'`],
  ])('in %s: %s', (path, text) => {
    expect(violations({ path, text })).toEqual([])
  })
})
