// `aurex test` runs this before a test: what it imports by name is then this program's own, wherever the test lies.
import * as valibot from 'valibot'
import { provideToPlugins } from '../../core/bun.ts'
import * as aurex from '../../core/index.ts'
import * as testing from './index.ts'

provideToPlugins({ aurex, valibot, 'aurex/testing': testing })
