import { rm } from 'node:fs/promises'
import { onTestFinished } from 'vitest'
import { Daemon } from './daemon.js'
import { attempt, run } from './run.js'

/** A network without anybody else in it. */
export interface PrivateNetwork {
  /** This machine's address there. It is not loopback, where docker trusts everybody. */
  readonly address: string
  /** What runs a program in it, in front of its name. */
  readonly under: readonly string[]
  /** Runs a line of a shell in it. */
  readonly shell: (line: string) => Promise<string>
}

/** A namespace of its own, gone with the test; the machine's own network is left as it is. */
export async function startPrivateNetwork(): Promise<PrivateNetwork> {
  // Of the addresses that are for documentation.
  const address = '192.0.2.1'
  const setUp = `ip link set lo up && ip address add ${address}/32 dev lo`
  await attempt('ip', ['-Version'])
  const holder = await Daemon.start(
    'unshare',
    ['--net', 'sh', '-c', `${setUp} && echo ready && exec sleep infinity`],
    { isReady: ({ output }) => output.includes('ready') },
  )
  onTestFinished(() => holder.stop())
  const under = ['nsenter', `--net=/proc/${holder.pid}/ns/net`]
  const [program = '', ...args] = under
  return { address, under, shell: (line) => run(program, [...args, 'sh', '-c', line]) }
}

/** Where clients of this machine keep what they know of a registry: the test's own entries, removed after it. */
export function forgetAfterwards(...folders: readonly string[]): void {
  onTestFinished(async () => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  })
}
