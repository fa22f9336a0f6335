import { connect, type Client } from '../client.ts'
import { exitCode } from '../errors.ts'
import type { Command, Io } from './command.ts'
import { readFlags } from './flags.ts'
import { nodeOf } from './whom.ts'

interface QuestionParts<A extends object> extends Pick<Command, 'name' | 'summary' | 'help'> {
  readonly ask: (client: Client) => Promise<A>
  /** For a person. */
  readonly text: (answer: A, io: Io) => string
}

/** A command that asks one node one thing: `--node` says which, `--json` prints the answer as it is, and the node. */
export function question<A extends object>({ ask, text, ...command }: QuestionParts<A>): Command {
  return {
    ...command,
    async run(argv, io) {
      const { help: asked, values } = readFlags(argv, {
        command: `aurex ${command.name}`,
        flags: { node: { type: 'string' }, json: { type: 'boolean' } },
      })
      if (asked) {
        io.out(command.help)
        return exitCode.ok
      }
      const { host, port } = nodeOf(values.node)
      const client = await connect(io.runtime, host, port)
      try {
        const answer = await ask(client)
        io.out(values.json ? `${JSON.stringify({ node: client.address, ...answer })}\n` : text(answer, io))
        return exitCode.ok
      } finally {
        client.close()
      }
    },
  }
}
