// `aurex/testing`: what authors of plugins test theirs with, run by `aurex test`.
export { consensusContract, type ConsensusOptions } from '../contract/consensus.ts'
export { Crew } from '../contract/consensus-crew.ts'
export {
  ancestryOf,
  draftAfter,
  genesisHeader,
  noProposal,
  sealBranch,
  sealNext,
  signedHeader,
  testKey,
  timeOf,
} from '../support/headers.ts'
