import { defineConfig } from 'tsup'

// One entry a door: the command, what plugins import, each plugin, and the workers, which are programs of their own.
export default defineConfig({
  entry: ['core/main.ts', 'core/index.ts', 'plugins/*/index.ts', 'plugins/pow/worker.ts', 'core/ruleworker.ts'],
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
})
