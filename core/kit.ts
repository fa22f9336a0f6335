// Where the kit for authors of plugins lies: test/kit. In a build it is dist/test/kit, and this module is one of the
// chunks in dist/core (tsup.config.ts), so that the way from here is the same.
const kit = new URL('../test/kit/', import.meta.url)

/** A module that makes `aurex`, `valibot` and `aurex/testing` known to the tests that run after it. */
export const preload = new URL(import.meta.url.endsWith('.ts') ? 'preload.ts' : 'preload.js', kit)

/** The files that `aurex new` starts an engine with. In them it has the name `templateName`. */
export const template = new URL('template/', kit)

export const templateName = 'my-engine'
