import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLedger } from '../../../plugins/sqlite/index.ts'
import { storageContract } from '../../contract/storage.ts'

storageContract('sqlite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aurex-sqlite-'))
  const path = join(folder, 'node.sqlite3')
  let ledger = openLedger(path)
  return {
    storage: ledger,
    reopen() {
      ledger.close()
      ledger = openLedger(path)
      return ledger
    },
    close() {
      ledger.close()
      rmSync(folder, { recursive: true })
    },
  }
})
