import { Worker } from 'node:worker_threads'
import { DurabilityLostError, RegistryError } from '../../errors.js'
import {
  errorOf,
  type WriteRequest,
  type WriterMessage,
  type WriterOptions,
  type WriterRequest,
} from './writer-protocol.js'
import type { Writes } from './writes.js'

/** Far more than connections can have under way at once; past it something is stuck. */
const pendingMax = 20_000

/** So long after the last write of a client nobody is expected to come with the next one. */
const quietMs = 1000

/** What is written while garbage is collected, and for nobody who waits. */
const TIDYING: ReadonlySet<keyof Writes> = new Set([
  'collect',
  'forgetAudit',
  'forgetFileRemovals',
  'recordAudit',
  'recordRun',
])

interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** The event loop's end of the writer thread. */
export class Writer {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  readonly #ended: Promise<void>
  #nextId = 0
  #lastWriteAt = -Infinity
  #failure: Error | undefined

  private constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', (message: WriterMessage) => {
      if (!('answers' in message)) return
      for (const answer of message.answers) {
        const pending = this.#pending.get(answer.id)
        this.#pending.delete(answer.id)
        if ('error' in answer) pending?.reject(errorOf(answer.error))
        else pending?.resolve(answer.result)
      }
    })
    // Whatever ended it, nothing can be stored any more: the next start can do better.
    worker.on('error', (cause) => {
      this.#fail(new DurabilityLostError('the thread that writes has ended', { cause }))
    })
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#fail(new RegistryError('UNAVAILABLE', 'the registry is stopping'))
        resolve()
      })
    })
  }

  /**
   * Starts the thread, which opens and migrates the database.
   *
   * @returns the writer, and the copy that was made before a migration, if any
   * @throws what opening or migrating threw
   */
  static async start(
    options: WriterOptions,
  ): Promise<{ writer: Writer; copy: string | undefined }> {
    const worker = new Worker(new URL('./writer-thread.js', import.meta.url), {
      workerData: options,
    })
    const copy = await new Promise<string | undefined>((resolve, reject) => {
      worker.once('error', reject)
      worker.once('message', (message: WriterMessage) => {
        worker.off('error', reject)
        resolve('ready' in message ? message.copy : undefined)
      })
    })
    return { writer: new Writer(worker), copy }
  }

  /**
   * Runs one write; resolves when its transaction is on disk, or a quick one's is committed.
   *
   * @throws {@link RegistryError} as the port says of each; {@link DurabilityLostError}
   */
  write<Name extends keyof Writes>(
    name: Name,
    ...args: Parameters<Writes[Name]>
  ): Promise<ReturnType<Writes[Name]>> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure)
        return
      }
      if (this.#pending.size >= pendingMax) {
        reject(new RegistryError('UNAVAILABLE', 'the registry is overloaded; try again'))
        return
      }
      if (!TIDYING.has(name)) this.#lastWriteAt = performance.now()
      const id = this.#nextId++
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject })
      this.#send({ id, name, args } as WriteRequest)
    })
  }

  /** Whether nobody has written for a while but who collects garbage. */
  get isQuiet(): boolean {
    return performance.now() - this.#lastWriteAt > quietMs
  }

  /** Lets the writes under way end, then ends the thread. */
  async close(): Promise<void> {
    if (!this.#failure) this.#send({ close: true })
    await this.#ended
  }

  #send(request: WriterRequest): void {
    this.#worker.postMessage(request)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#pending.values()) reject(this.#failure)
    this.#pending.clear()
  }
}
