import { Worker } from 'node:worker_threads'
import { RegistryError } from '../../errors.js'
import type { SurveyQuestions } from './survey-questions.js'
import type { SurveyAnswer, SurveyOptions } from './survey-thread.js'
import { errorOf } from './writer-protocol.js'

/** Each is a run of maintenance or a person who waits; past this something is stuck. */
const pendingMax = 1_000

/** A thread that nobody has asked for so long ends, and with it what it has in memory. */
const idleMs = 30_000

interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/**
 * The event loop's end of the thread that answers long questions. The thread begins with the first
 * question, and again with the next one after it has ended, whyever it has.
 */
export class Survey {
  readonly #options: SurveyOptions
  readonly #pending = new Map<number, Pending>()
  #worker: Worker | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #idle: NodeJS.Timeout | undefined
  #nextId = 0
  #isClosed = false

  constructor(options: SurveyOptions) {
    this.#options = options
  }

  /**
   * Asks when those who asked before have their answers.
   *
   * @throws {@link RegistryError} `UNAVAILABLE` when the store is closed meanwhile or overloaded, or the
   *   thread has ended: the next question has another one
   */
  ask<Name extends keyof SurveyQuestions>(
    name: Name,
    ...args: Parameters<SurveyQuestions[Name]>
  ): Promise<ReturnType<SurveyQuestions[Name]>> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(stopping())
        return
      }
      if (this.#pending.size >= pendingMax) {
        reject(new RegistryError('UNAVAILABLE', 'too many long questions are waiting; try again'))
        return
      }
      clearTimeout(this.#idle)
      this.#worker ??= this.#start()
      const id = this.#nextId++
      this.#pending.set(id, { resolve: resolve as (result: unknown) => void, reject })
      this.#worker.postMessage({ id, name, args })
    })
  }

  /** Gives up what is being asked. Waits for the step that SQLite is in. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#end(stopping())
    await this.#ended
  }

  #start(): Worker {
    const worker = new Worker(new URL('./survey-thread.js', import.meta.url), {
      workerData: this.#options,
    })
    worker.on('message', (answer: SurveyAnswer) => {
      const pending = this.#pending.get(answer.id)
      this.#pending.delete(answer.id)
      if ('error' in answer) {
        pending?.reject(errorOf(answer.error, 'a question to the database failed'))
      } else pending?.resolve(answer.result)
      if (this.#pending.size === 0 && this.#worker === worker) this.#endWhenIdle()
    })
    const ended = (reason: Error) => {
      if (this.#worker === worker) this.#end(reason)
    }
    worker.once('error', (error) => ended(unanswered(error)))
    worker.once('exit', () => ended(unanswered()))
    return worker
  }

  #endWhenIdle(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.#end(stopping()), idleMs)
    this.#idle.unref()
  }

  /** The next question begins another thread. */
  #end(reason: Error): void {
    clearTimeout(this.#idle)
    const worker = this.#worker
    this.#worker = undefined
    for (const { reject } of this.#pending.values()) reject(reason)
    this.#pending.clear()
    if (worker) this.#ended = Promise.all([this.#ended, worker.terminate()])
  }
}

/** Why nobody answers: the database cannot be opened, or there was no memory for the thread. */
function unanswered(cause?: Error): RegistryError {
  const reason = cause ? `: ${cause.message}` : ''
  return new RegistryError('UNAVAILABLE', `the thread for long questions has ended${reason}`, {
    cause,
  })
}

function stopping(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'the registry is stopping')
}
