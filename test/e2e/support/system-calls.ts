import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { temporaryDirectory } from '../../support/directories.js'
import type { Berth } from './berth.js'
import { Daemon } from './daemon.js'

/** One system call that a process has made, whichever of its threads. */
export interface SystemCall {
  readonly name: string
  /** Its arguments as strace shows them, descriptors with what they are open on. */
  readonly args: string
  /** What it returned; -1 when it failed. */
  readonly result: number
  /** What the descriptor that it returned is open on. */
  readonly opened?: string
}

/** Everything of the named system calls that a registry makes while `work` is under way. */
export async function systemCallsDuring(
  { pid }: Berth,
  names: readonly string[],
  work: () => Promise<unknown>,
): Promise<SystemCall[]> {
  const output = path.join(await temporaryDirectory(), 'strace')
  const args = ['-f', '-y', '-s', '0', '-p', String(pid), '-e', `trace=${names.join(',')}`]
  const tracer = await Daemon.start('strace', [...args, '-o', output], {
    isReady: (daemon) => daemon.output.includes('attached'),
  })
  try {
    await work()
  } finally {
    await tracer.stop()
  }
  return callsIn(await readFile(output, 'utf8'))
}

/** How many bytes the calls have moved that did not fail. */
export function bytesMovedBy(calls: readonly SystemCall[]): number {
  return calls.reduce((sum, { result }) => sum + Math.max(result, 0), 0)
}

function callsIn(trace: string): SystemCall[] {
  const unfinished = new Map<string, { name: string; args: string }>()
  const calls: SystemCall[] = []
  for (const line of trace.split('\n')) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const [, name = '', args = ''] = /^(\w+)\((.*)$/.exec(text) ?? []
    if (text.endsWith('<unfinished ...>')) {
      unfinished.set(thread, { name, args })
      continue
    }
    const [, result, opened] = / = (-?\d+)(?:<([^>]*)>)?(?: [^=]*)?$/.exec(text) ?? []
    if (result === undefined) continue
    const resumed = text.startsWith('<...') ? unfinished.get(thread) : { name, args }
    if (resumed) calls.push({ ...resumed, result: Number(result), ...(opened && { opened }) })
  }
  return calls
}
