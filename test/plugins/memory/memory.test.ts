import { MemoryLedger } from '../../../plugins/memory/index.ts'
import { storageContract } from '../../contract/storage.ts'

storageContract('memory', () => ({ storage: new MemoryLedger(), close: () => {} }))
