import { cpSync } from 'node:fs'
import { defineConfig } from 'tsup'

// One entry a door: the command, what plugins and their tests import, each plugin, and what runs as a program of its own.
export default defineConfig({
  entry: [
    'core/main.ts',
    'core/index.ts',
    'core/ruleworker.ts',
    'plugins/*/index.ts',
    'plugins/pow/worker.ts',
    'test/kit/index.ts',
    'test/kit/preload.ts',
  ],
  outDir: 'dist',
  format: ['esm'],
  platform: 'node',
  target: 'esnext',
  splitting: true,
  sourcemap: true,
  clean: true,
  // tsc writes the declarations: tsup cannot with this TypeScript.
  dts: false,
  external: [/^bun(:|$)/],
  // Shared code of core looks for what lies beside it (core/rulethread.ts, core/kit.ts), so its chunks stay in that folder.
  esbuildOptions: (options) => void (options.chunkNames = 'core/[name]-[hash]'),
  onSuccess: async () => cpSync('test/kit/template', 'dist/test/kit/template', { recursive: true }),
})
