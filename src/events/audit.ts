import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { DurabilityLostError } from '../errors.js'
import type { AuditEvent, AuditResult, AuditTrail } from '../metadata/audit.js'
import type { RepositoryName } from '../oci/reference.js'
import { ANONYMOUS, type Identity } from '../auth/identity.js'
import type { AuditAction } from './actions.js'
import type { AuditFile } from './audit-file.js'
import { AuditQueue } from './audit-queue.js'
import { RefusalBudget } from './refusal-budget.js'

/** Who does what nobody has asked for. */
export const BERTH = 'berth'

/** Longer texts that came from outside are cut: a refused request must not cost more than others. */
const textMax = 300

/** How many events are forgotten at once. */
const forgottenAtOnce = 250

/** Something that has happened, for whoever writes it down. */
export interface Noted {
  /** Tells who asked, and from where. */
  readonly request?: FastifyRequest
  /** Who did it, where the request does not tell; without either it was Berth. */
  readonly actor?: string
  /** Where it came from, where the request does not tell, or not any more. */
  readonly address?: string | undefined
  readonly action: AuditAction
  /** What it was done to besides the repository: a tag, a digest, an account. */
  readonly target?: string
  readonly repository?: RepositoryName | undefined
  /** `done` when absent. */
  readonly result?: AuditResult
  /** What else there is to say, as plain JSON; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>
}

export interface AuditLogOptions {
  readonly trail: AuditTrail
  /** Where lines go as well. */
  readonly file?: AuditFile | undefined
  readonly log: FastifyBaseLogger
  readonly now: () => number
  readonly onDurabilityLost: (error: DurabilityLostError) => void
}

/**
 * Who did what to what, when, from where, with what result. To say so costs next to nothing: it is written
 * down a moment later, many together, without a sync of its own. What ends the process at once takes
 * that moment with it.
 */
export class AuditLog {
  readonly #options: AuditLogOptions
  readonly #queues: readonly AuditQueue[]
  readonly #refusals = new RefusalBudget()
  #isClosed = false

  constructor(options: AuditLogOptions) {
    this.#options = options
    const { trail, file, log, onDurabilityLost } = options
    const common = { log, onDurabilityLost, lost: (count: number) => this.#lost(count) }
    this.#queues = [
      new AuditQueue({ ...common, name: 'the database', write: (all) => trail.recordAudit(all) }),
      ...(file
        ? [new AuditQueue({ ...common, name: 'audit.file', write: (all) => file.write(all) })]
        : []),
    ]
  }

  /** Never throws, and waits for nothing. */
  note(noted: Noted): void {
    if (this.#isClosed) return
    this.#tellSkipped((at) => this.#refusals.takeSkipped(at))
    const event = this.#eventOf(noted)
    const { result, address } = event
    if (result === 'refused' && address !== undefined && !this.#refusals.admits(address)) return
    this.#add(event)
  }

  /** Writes down what has been noted, as far as it can be. */
  async flush(): Promise<void> {
    this.#tellSkipped((at) => this.#refusals.takeSkipped(at))
    await Promise.all(this.#queues.map((queue) => queue.flush()))
  }

  /** Goes on in the file that has the configured path by now; what fails is logged. */
  async reopen(): Promise<void> {
    const { file, log } = this.#options
    try {
      await file?.reopen()
    } catch (error) {
      log.error({ err: error }, 'audit.file cannot be opened again; it goes on in the old one')
    }
  }

  /** Forgets what happened before a time, a little at a time. */
  async forget(before: number, signal: AbortSignal): Promise<void> {
    const { trail } = this.#options
    while (!signal.aborted && (await trail.forgetAudit(before, forgottenAtOnce)));
  }

  /** To be called when nothing happens any more. */
  async close(): Promise<void> {
    this.#tellSkipped((at) => this.#refusals.takeAll(at))
    this.#isClosed = true
    await Promise.all(this.#queues.map((queue) => queue.close()))
  }

  #tellSkipped(take: (at: number) => readonly { address: string; count: number }[]): void {
    for (const { address, count } of take(this.#options.now())) {
      const noted = { action: 'audit.skipped', result: 'refused', details: { count } } as const
      this.#add(this.#eventOf({ ...noted, ...(address !== '' && { address }) }))
    }
  }

  #lost(count: number): AuditEvent {
    return this.#eventOf({ action: 'audit.lost', result: 'failed', details: { count } })
  }

  #add(event: AuditEvent): void {
    for (const queue of this.#queues) queue.add(event)
  }

  #eventOf({ request, action, target = '', repository, result, details, ...noted }: Noted) {
    const actor = noted.actor ?? (request ? actorOf(request) : BERTH)
    const address = noted.address ?? request?.ip
    return {
      at: this.#options.now(),
      actor,
      action,
      target: shortened(target),
      ...(repository !== undefined && { repository }),
      ...(address !== undefined && { address }),
      result: result ?? 'done',
      details: details ?? {},
    } satisfies AuditEvent
  }
}

/** The name of whoever asks. */
export function actorOf(request: FastifyRequest): string {
  return (request as { readonly identity?: Identity }).identity?.name ?? ANONYMOUS.name
}

/** As much of a text from outside as the trail keeps. */
export function shortened(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax - 1)}…`
}
