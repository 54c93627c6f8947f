import { createHmac, randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { RegistryError } from '../errors.js'
import { FairQueue } from './fair-queue.js'
import type { PasswordJob, PasswordResult } from './password-thread.js'

/** Bytes of UTF-8; more would be a way to keep the threads busy. */
export const passwordBytesMax = 1024

/** bcrypt looks at no more than so many, and takes two passwords that differ behind them for one. */
export const bcryptPasswordBytesMax = 72

/** Several seconds of work; whoever comes after it is told to try again. */
const pendingMax = 256

/** Each check takes 19 MiB while it runs. */
const threadsMax = 4

/** Threads that nobody has asked for so long end. */
const idleMs = 30_000

/** The dearest hashes that are checked: a stored one must not be able to take the machine. */
const memoryKibMax = 256 * 1024
const passesMax = 16
const lanesMax = 16
const bcryptCostMin = 4
const bcryptCostMax = 14

/** Which hashes can be checked, for people. */
export const usableHashesText = `bcrypt ($2y$, $2a$, $2b$; a cost of ${bcryptCostMin} to ${bcryptCostMax}), or argon2id as a PHC string (up to ${memoryKibMax / 1024} MiB, ${passesMax} passes, ${lanesMax} lanes).`

const ARGON2ID =
  /^\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}$/
/** Of new hashes, in the form of a PHC string. */
const ownParameters = '$argon2id$v=19$m=19456,t=2,p=1$'

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

interface Waiting {
  readonly job: PasswordJob
  readonly resolve: (value: string | boolean) => void
  readonly reject: (error: Error) => void
}

/**
 * Whether a text is a password hash that can be checked: argon2id as a PHC string, or bcrypt with
 * one of the prefixes `$2a$`, `$2b$`, `$2y$`, as `htpasswd -B` writes it; within bounds of cost.
 */
export function isPasswordHash(stored: string): boolean {
  return kindOf(stored) !== undefined
}

/**
 * Hashes and checks passwords on threads of their own, as each takes a core for milliseconds. The
 * threads begin with the first password, and go after those who pull and push where the system has
 * priorities for threads.
 */
export class Passwords {
  readonly #secret = randomBytes(32)
  readonly #threadCount: number
  readonly #waiting = new FairQueue<Waiting>(pendingMax)
  readonly #idle: Worker[] = []
  readonly #busy = new Map<Worker, Waiting>()
  #rest: NodeJS.Timeout | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** @param options.threadCount - by default all cores but one, and no more than four */
  constructor({ threadCount }: { readonly threadCount?: number } = {}) {
    this.#threadCount = threadCount ?? Math.min(threadsMax, Math.max(1, availableParallelism() - 1))
  }

  /**
   * Hashes a new password: argon2id, 19 MiB, two passes, one lane.
   *
   * @returns a PHC string
   * @throws {@link RegistryError} `REQUEST_INVALID` when it is empty or has more than 1024 bytes;
   *   `UNAVAILABLE` when too many wait, or the registry stops
   */
  async hash(password: string): Promise<string> {
    if (!hasBytes(password, passwordBytesMax)) {
      throw new RegistryError(
        'REQUEST_INVALID',
        `a password has between 1 and ${passwordBytesMax} bytes`,
      )
    }
    return (await this.#do({ kind: 'hash', password }, '')) as string
  }

  /**
   * Whether a password is the one that was hashed. False also for what is no hash, for a password
   * that {@link hash} would refuse, and for one that bcrypt could not tell from others: with more
   * than 72 bytes, or with a NUL, at which it would end.
   *
   * @param place - where the password comes from: each has its turn, and that from which most comes is
   *   refused first
   * @throws {@link RegistryError} `UNAVAILABLE` when too many wait, or the registry stops
   */
  async verify(password: string, stored: string, place = ''): Promise<boolean> {
    const kind = kindOf(stored)
    if (kind === undefined || !hasBytes(password, passwordBytesMax)) return false
    if (kind === 'bcrypt' && !isForBcrypt(password)) {
      // Takes as long as for any other password: who asks must not learn what is stored.
      await this.#do({ kind, password: 'x', stored }, place)
      return false
    }
    return (await this.#do({ kind, password, stored }, place)) as boolean
  }

  /**
   * What stands in for the hash of an account that does not exist, so that a login takes as long: no
   * password fits it. The same for the same name as long as this lives.
   *
   * @param like - the hash of some account, which this one takes as long to check as
   */
  decoyFor(name: string, like = ownParameters): string {
    const bytes = createHmac('sha512', this.#secret).update(name).digest()
    const text = (from: number, to: number) =>
      bytes.subarray(from, to).toString('base64').replaceAll('=', '')
    const bcrypt = /^\$2[aby]\$\d\d\$/.exec(like)?.[0]
    if (bcrypt) {
      const letters = text(0, 40).replaceAll('+', '.')
      // Of the last letters of salt and digest not all bits count: those that do not have to be zero.
      return `${bcrypt}${letters.slice(0, 21)}.${letters.slice(21, 51)}.`
    }
    const [, , , parameters = ''] = like.split('$')
    return `$argon2id$v=19$${parameters}$${text(0, 16)}$${text(16, 48)}`
  }

  /** Gives up what is waiting or under way, and ends the threads. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#rest)
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      next.reject(stopping())
    }
    for (const worker of [...this.#busy.keys()]) this.#lose(worker, stopping())
    this.#endIdle()
    await this.#ended
  }

  #do(job: PasswordJob, place: string): Promise<string | boolean> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(stopping())
        return
      }
      const refused = this.#waiting.push(place, { job, resolve, reject })
      refused?.reject(new RegistryError('UNAVAILABLE', 'too many logins at once; try again'))
      this.#goOn()
    })
  }

  /** Gives what waits to whoever has nothing to do. */
  #goOn(): void {
    while (this.#idle.length > 0 || this.#busy.size < this.#threadCount) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      const worker = this.#idle.pop() ?? this.#start()
      clearTimeout(this.#rest)
      this.#busy.set(worker, next)
      // A command must not end before its answer has come.
      worker.ref()
      worker.postMessage(next.job)
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL('./password-thread.js', import.meta.url))
    worker.on('message', (result: PasswordResult) => {
      const asked = this.#busy.get(worker)
      this.#busy.delete(worker)
      this.#idle.push(worker)
      worker.unref()
      if ('error' in result) asked?.reject(result.error)
      else asked?.resolve(result.value)
      this.#goOn()
      if (this.#busy.size === 0) this.#endWhenIdle()
    })
    worker.once('error', (error) => this.#lose(worker, unanswered(error)))
    worker.once('exit', () => this.#lose(worker, unanswered()))
    return worker
  }

  /** A thread that has ended, or must; the next password has another one. */
  #lose(worker: Worker, reason: Error): void {
    const asked = this.#busy.get(worker)
    const index = this.#idle.indexOf(worker)
    if (asked === undefined && index === -1) return
    this.#busy.delete(worker)
    if (index !== -1) this.#idle.splice(index, 1)
    this.#ended = Promise.all([this.#ended, worker.terminate()])
    asked?.reject(reason)
    if (!this.#isClosed) this.#goOn()
  }

  #endWhenIdle(): void {
    clearTimeout(this.#rest)
    if (this.#isClosed) return
    this.#rest = setTimeout(() => this.#endIdle(), idleMs)
    this.#rest.unref()
  }

  #endIdle(): void {
    for (const worker of [...this.#idle]) this.#lose(worker, stopping())
  }
}

function kindOf(stored: string): 'argon2id' | 'bcrypt' | undefined {
  const argon2id = ARGON2ID.exec(stored)
  if (argon2id) {
    const [memoryKib = 0, passes = 0, lanes = 0] = argon2id.slice(1).map(Number)
    const isBounded = memoryKib <= memoryKibMax && passes <= passesMax && lanes <= lanesMax
    // RFC 9106, 3.1: with less it cannot be computed, and lets nobody in.
    const isEnough = passes >= 1 && lanes >= 1 && memoryKib >= 8 * lanes
    return isBounded && isEnough ? 'argon2id' : undefined
  }
  const bcrypt = BCRYPT.exec(stored)
  if (!bcrypt) return undefined
  const cost = Number(bcrypt[1])
  return cost >= bcryptCostMin && cost <= bcryptCostMax ? 'bcrypt' : undefined
}

function hasBytes(password: string, bytesMax: number): boolean {
  const sizeBytes = Buffer.byteLength(password)
  return sizeBytes >= 1 && sizeBytes <= bytesMax
}

function isForBcrypt(password: string): boolean {
  return hasBytes(password, bcryptPasswordBytesMax) && !password.includes('\0')
}

function unanswered(cause?: Error): RegistryError {
  return new RegistryError('UNAVAILABLE', 'the thread for passwords has ended; try again', {
    cause,
  })
}

function stopping(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'the registry is stopping')
}
