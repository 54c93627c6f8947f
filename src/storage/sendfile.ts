import type { FastifyBaseLogger } from 'fastify'

/** What is used of the C library, as `man 2` describes it. */
interface Library {
  readonly dup: (descriptor: number) => number
  readonly close: (descriptor: number) => number
  readonly sendfile: {
    async(
      to: number,
      from: number,
      offset: BigInt64Array,
      byteCount: number,
      done: (error: Error | null, result: number) => void,
    ): void
  }
}

/** 64-bit ones, where an offset and a size are as wide as they are declared here. */
const ARCHITECTURES: readonly string[] = ['x64', 'arm64', 'riscv64', 'loong64']

/** Node.js has four threads for files unless it is told otherwise. */
const usualPoolSize = 4

/**
 * Lets the kernel copy bytes from a file to a socket, without a visit to our memory: sendfile(2),
 * called through the optional package `koffi`. Where that is not possible nobody misses anything
 * but speed.
 */
export class Sendfile {
  readonly #log: FastifyBaseLogger
  #library: Promise<Library | undefined> | undefined
  /** A cold disk holds a thread up: half of them stay free for everything else. */
  #threadsFree = Math.max(1, Math.floor(poolSize() / 2))
  readonly #waiting: (() => void)[] = []

  constructor(log: FastifyBaseLogger) {
    this.#log = log
  }

  /** Whether this machine can do it; loads what is needed when it is asked for the first time. */
  async isPossible(): Promise<boolean> {
    this.#library ??= loadLibrary(this.#log)
    return (await this.#library) !== undefined
  }

  /**
   * Sends as many bytes of a file as a socket has room for at once.
   *
   * @param socket - the descriptor of a non-blocking socket that is open now
   * @returns how many; 0 also when it failed, as why cannot be known
   */
  async send(
    socket: () => number | undefined,
    file: number,
    position: number,
    byteCount: number,
  ): Promise<number> {
    const library = await this.#library
    if (library === undefined) return 0
    if (this.#threadsFree > 0) this.#threadsFree--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await sendOnThread(library, socket(), file, position, byteCount)
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#threadsFree++
    }
  }
}

/**
 * A descriptor of our own: should the socket be closed meanwhile, its number may be that of somebody
 * else's connection.
 */
async function sendOnThread(
  library: Library,
  socket: number | undefined,
  file: number,
  position: number,
  byteCount: number,
): Promise<number> {
  if (socket === undefined) return 0
  const own = library.dup(socket)
  if (own < 0) return 0
  const offset = BigInt64Array.of(BigInt(position))
  try {
    const result = await new Promise<number>((resolve, reject) => {
      library.sendfile.async(own, file, offset, byteCount, (error, count) => {
        if (error) reject(error)
        else resolve(count)
      })
    })
    return Math.max(0, result)
  } finally {
    library.close(own)
  }
}

async function loadLibrary(log: FastifyBaseLogger): Promise<Library | undefined> {
  if (process.platform !== 'linux' || !ARCHITECTURES.includes(process.arch)) return undefined
  try {
    const { default: koffi } = await import('koffi')
    // The program itself, which has the C library with it, whichever that is.
    const program = koffi.load(null)
    return {
      dup: program.func('int dup(int)') as unknown as Library['dup'],
      close: program.func('int close(int)') as unknown as Library['close'],
      sendfile: program.func(
        'intptr_t sendfile(int, int, void *, size_t)',
      ) as unknown as Library['sendfile'],
    }
  } catch (error) {
    log.debug({ err: error }, 'files are sent without the help of the kernel')
    return undefined
  }
}

function poolSize(): number {
  const configured = Number(process.env['UV_THREADPOOL_SIZE'])
  return Number.isInteger(configured) && configured > 0 ? configured : usualPoolSize
}
