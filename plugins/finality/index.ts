import { AurexError, definePlugin, exitCode, isSignedBy, purposes } from '../../core/index.ts'
import { voteEvidence } from './evidence.ts'
import { healthOf, metricsOf } from './figures.ts'
import { VotedFinality } from './finality.ts'
import { rulesOf } from './rules.ts'
import { configSchema, parametersSchema } from './schema.ts'
import { messageSchema, type IsSigned } from './votes.ts'

const isSigned: IsSigned = (address, text, signature) => isSignedBy(address, purposes.finality, text, signature)

export default definePlugin({
  name: 'finality',
  summary: 'authorities vote on which blocks are never undone',
  provides: 'finality',
  needs: ['storage'],
  config: configSchema,
  parameters: parametersSchema,
  setup(context, config, parameters) {
    const { genesis, runtime, log, signer, network } = context
    if (genesis === undefined) {
      throw new AurexError('no-chain', 'finality: there is no chain to finalise; load an engine too', {
        exit: exitCode.config,
      })
    }
    const rules = rulesOf(genesis.rules.chainId, parameters)
    const finality = new VotedFinality({
      rules,
      votes: config.vote,
      roundMilliseconds: config.round_milliseconds,
      isSigned,
      signer,
      records: context.use.storage.records('finality'),
      clock: runtime.clock,
      log,
      network,
      accuse: (proof) => context.accuse('finality', proof),
    })
    context.defer(() => finality.close())
    finality.openChannel(
      context.channel('vote', messageSchema, (message, from) => finality.hear(message, from), { gossip: true }),
    )
    context.on('peer:joined', ({ nodeId }) => finality.joined(nodeId))
    context.on('sync:started', () => finality.hold(true))
    context.on('sync:ended', () => finality.hold(false))
    context.contribute('evidence', voteEvidence(rules, isSigned))
    for (const metric of metricsOf(finality)) context.contribute('metric', metric)
    context.contribute('health', healthOf(finality, runtime.clock))
    const isAuthority = rules.authorities.includes(signer.address)
    if (isAuthority && config.vote)
      log.info('this node votes', { authorities: rules.authorities.length, quorum: rules.quorum })
    return finality
  },
})
