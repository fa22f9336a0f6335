import bft from '../../../plugins/bft/index.ts'
import { consensusContract } from '../../contract/consensus.ts'

consensusContract(bft, { mayBeAway: 1 })
consensusContract(bft, { name: 'bft with one authority', producers: 1 })
