import { afterEach, beforeEach } from 'bun:test'
import { removeFolder, startNode, temporaryFolder, type NodeProcess } from './process.ts'

export interface Home {
  /** A folder of its own for each test. */
  readonly path: string
  /** Starts a node that keeps its data there. */
  start(...args: string[]): Promise<NodeProcess>
}

/** For a test file: a folder for each test. Afterwards the nodes that were started in it are killed, and it is removed. */
export function useHome(): Home {
  const nodes: NodeProcess[] = []
  let path = ''
  beforeEach(() => {
    path = temporaryFolder()
  })
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.kill()))
    removeFolder(path)
  })
  return {
    get path() {
      return path
    },
    async start(...args) {
      const node = await startNode(path, ...args)
      nodes.push(node)
      return node
    },
  }
}
