import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { temporaryDirectory } from '../../support/directories.js'
import { startBerth, type Berth, type BerthOptions } from './berth.js'

/**
 * One thing that a process has done to the files below a folder, or one answer that it has begun to
 * send. `begunAt` and `doneAt` are places in the order of all; calls of several threads overlap.
 */
export type Step = { readonly begunAt: number; readonly doneAt: number } & (
  | {
      readonly kind: 'write'
      readonly path: string
      readonly atByte: number
      readonly bytes: Buffer
    }
  | { readonly kind: 'truncate'; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'create'; readonly path: string; readonly truncates: boolean }
  | { readonly kind: 'makeFolder' | 'remove' | 'sync'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'answer'; readonly clientPort: number }
)

interface Call {
  readonly name: string
  /** As strace shows them: strings and paths in hexadecimal. */
  readonly args: string
  readonly result: number
  readonly begunAt: number
  readonly doneAt: number
}

/** What the steps are made of. */
const followed = [
  ...['open', 'openat', 'creat', 'write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'],
  ...['ftruncate', 'truncate', 'rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir'],
  ...['mkdir', 'mkdirat', 'fsync', 'fdatasync'],
]

/** What could change a file as well, and is in no recording so far. */
const unknown = [
  ...['link', 'linkat', 'symlink', 'symlinkat', 'fallocate', 'copy_file_range', 'splice'],
  ...['sendfile', 'msync', 'sync', 'syncfs', 'io_uring_setup', 'mmap'],
]

/** SQLite makes it anew from the log; it is mapped, and so what happens to it cannot be seen. */
const sharedMemory = /-shm$/

/** Longer than anything that is written at once. */
const stringBytesMax = 16 * 1024 * 1024

/**
 * Runs a registry until `work` has ended it, and gives everything it did to the files below a
 * folder, with every byte, in the order in which it did.
 */
export async function record(
  folder: string,
  options: BerthOptions,
  work: (berth: Berth) => Promise<unknown>,
): Promise<Step[]> {
  const trace = path.join(await temporaryDirectory(), 'trace')
  const calls = [...followed, ...unknown].join(',')
  const berth = await startBerth({
    ...options,
    settings: { ...options.settings, UV_USE_IO_URING: '0', BERTH_LOG_LEVEL: 'error' },
    under: [
      ...['strace', '-f', '--seccomp-bpf', '-yy', '-xx', '-s', String(stringBytesMax)],
      ...['-e', `trace=${calls}`, '-o', trace],
    ],
  })
  await work(berth)
  await berth.exitCode()
  return stepsIn(await readFile(trace), folder)
}

/** The process itself: what {@link startBerth} knows is strace. */
export async function tracedPid({ dataDirectory }: Berth): Promise<number> {
  return Number(await readFile(path.join(dataDirectory, 'berth.pid'), 'utf8'))
}

function stepsIn(trace: Buffer, folder: string): Step[] {
  const reader = new StepReader(folder)
  return callsIn(trace).flatMap((call) => reader.read(call))
}

function* linesOf(trace: Buffer): Generator<string> {
  for (let at = 0; at < trace.length;) {
    const end = trace.indexOf('\n', at)
    // A whole trace may be longer than a string can be.
    yield trace.toString('latin1', at, end === -1 ? trace.length : end)
    if (end === -1) return
    at = end + 1
  }
}

function callsIn(trace: Buffer): Call[] {
  const unfinished = new Map<string, { text: string; begunAt: number }>()
  const calls: Call[] = []
  let at = 0
  for (const line of linesOf(trace)) {
    at++
    const space = line.indexOf(' ')
    const thread = line.slice(0, space)
    const said = line.slice(space).trimStart()
    const cutOff = said.indexOf(' <unfinished ...>', Math.max(0, said.length - 20))
    if (cutOff !== -1) {
      unfinished.set(thread, { text: said.slice(0, cutOff), begunAt: at })
      continue
    }
    const begun = said.startsWith('<... ') ? unfinished.get(thread) : { text: '', begunAt: at }
    if (begun === undefined) continue
    const text = begun.text + said.slice(begun.text === '' ? 0 : said.indexOf(' resumed>') + 9)
    const equals = text.lastIndexOf(' = ')
    const end = text.lastIndexOf(')', equals)
    const result = Number.parseInt(text.slice(equals + ' = '.length))
    const nameEnd = text.indexOf('(')
    // Neither signals and ends, nor calls that failed or never returned.
    if (equals === -1 || nameEnd === -1 || !(result >= 0)) {
      requireNoLostSync(text)
      continue
    }
    const { begunAt } = begun
    const name = text.slice(0, nameEnd)
    calls.push({ name, args: text.slice(nameEnd + 1, end), result, begunAt, doneAt: at })
  }
  return calls
}

/** One that was under way when the process was killed, has no result, and has promised nothing. */
function requireNoLostSync(text: string): void {
  if (/^f(?:data)?sync\(.* = -1 /.test(text)) throw new Error(`a sync has failed: ${text}`)
}

class StepReader {
  readonly #folder: string
  /** Where the next write of a descriptor goes that does not say where. */
  readonly #positions = new Map<string, number>()

  constructor(folder: string) {
    this.#folder = folder
  }

  read(call: Call): Step[] {
    const { name, begunAt, doneAt } = call
    if (unknown.includes(name)) {
      this.#requireHarmless(call)
      return []
    }
    const when = { begunAt, doneAt }
    switch (name) {
      case 'open':
      case 'openat':
      case 'creat':
        return this.#opened(call)
      case 'write':
      case 'writev':
      case 'pwrite64':
      case 'pwritev':
      case 'pwritev2':
        return this.#written(call)
      case 'ftruncate':
      case 'truncate': {
        const sizeBytes = lastNumber(call.args)
        return this.#paths(call).map((path) => ({ ...when, kind: 'truncate', path, sizeBytes }))
      }
      case 'rename':
      case 'renameat':
      case 'renameat2': {
        const [path, to] = this.#paths(call)
        if (path === undefined && to === undefined) return []
        if (path === undefined || to === undefined) throw new Error(`${name} across the folder`)
        return [{ ...when, kind: 'rename', path, to }]
      }
      case 'unlink':
      case 'unlinkat':
      case 'rmdir':
        return this.#paths(call).map((path) => ({ ...when, kind: 'remove', path }))
      case 'mkdir':
      case 'mkdirat':
        return this.#paths(call).map((path) => ({ ...when, kind: 'makeFolder', path }))
      case 'fsync':
      case 'fdatasync':
        return this.#paths(call).map((path) => ({ ...when, kind: 'sync', path }))
      default:
        throw new Error(`nobody knows what ${name} does`)
    }
  }

  #opened(call: Call): Step[] {
    const { name, args, result, begunAt, doneAt } = call
    this.#positions.set(String(result), 0)
    const flags = name === 'creat' ? 'O_CREAT|O_TRUNC' : args
    if (!flags.includes('O_CREAT')) return []
    const truncates = flags.includes('O_TRUNC')
    return this.#paths(call).map((path) => ({ begunAt, doneAt, kind: 'create', path, truncates }))
  }

  #written(call: Call): Step[] {
    const { name, args, result, begunAt, doneAt } = call
    const when = { begunAt, doneAt }
    const peer = /^\d+<TCP:\[[^\]]*->[^\]]*:(\d+)\]>/.exec(args)?.[1]
    if (peer !== undefined) {
      const isHead = bytesIn(args, 'HTTP/1.1 '.length).toString() === 'HTTP/1.1 '
      return isHead ? [{ ...when, kind: 'answer', clientPort: Number(peer) }] : []
    }
    const descriptor = args.slice(0, args.indexOf('<'))
    const isPlaced = name.startsWith('p')
    return this.#paths(call).map((path) => {
      const position = this.#positions.get(descriptor) ?? 0
      if (!isPlaced) this.#positions.set(descriptor, position + result)
      const atByte = isPlaced ? lastNumber(args) : position
      return { ...when, kind: 'write', path, atByte, bytes: bytesIn(args).subarray(0, result) }
    })
  }

  /** The files and folders of a call that are below the folder. */
  #paths({ name, args }: Call): string[] {
    const texts = isOfDescriptor(name)
      ? [/^\d+<([^>]*)>/.exec(args)?.[1] ?? '']
      : [...args.matchAll(/"([^"]*)"/g)].map(([, text]) => text ?? '')
    return texts.flatMap((text) => {
      const absolute = fromHex(text).toString()
      const relative = path.relative(this.#folder, absolute)
      const isInside = path.isAbsolute(absolute) && !relative.startsWith('..')
      return isInside && !sharedMemory.test(relative) ? [relative] : []
    })
  }

  #requireHarmless({ name, args }: Call): void {
    if (name === 'mmap' && !(args.includes('PROT_WRITE') && args.includes('MAP_SHARED'))) return
    const paths = [...args.matchAll(/(?:\\x[0-9a-f]{2})+/g)].map(([text]) =>
      fromHex(text).toString(),
    )
    const isOurs = paths.some((path) => path.startsWith(this.#folder) && !sharedMemory.test(path))
    // To a socket is what it is for.
    const isSending = name === 'sendfile' && /^\d+<TCP:/.test(args)
    if ((isOurs && !isSending) || ['sync', 'syncfs', 'io_uring_setup'].includes(name)) {
      throw new Error(`nobody knows what ${name} does to a file`)
    }
  }
}

function isOfDescriptor(name: string): boolean {
  return /write|^f/.test(name)
}

/** What a call writes, in one piece or in several; or its first bytes. */
function bytesIn(args: string, bytesMax = Infinity): Buffer {
  const pieces: Buffer[] = []
  for (let at = args.indexOf('"'); at !== -1;) {
    const end = args.indexOf('"', at + 1)
    if (args.startsWith('...', end + 1)) throw new Error('a write is too long to be recorded')
    pieces.push(fromHex(args.slice(at + 1, Math.min(end, at + 1 + 4 * bytesMax))))
    if (bytesMax < Infinity) break
    at = args.indexOf('"', end + 1)
  }
  return Buffer.concat(pieces)
}

function fromHex(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

function lastNumber(args: string): number {
  return Number(args.slice(args.lastIndexOf(',') + 1))
}
