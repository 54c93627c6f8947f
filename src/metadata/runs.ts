/** Runs of what cleans up, checks or copies, written down. */
export interface RunMetadata {
  /** Writes down that a run of maintenance has begun, and gives its id. */
  beginRun(run: BeginRun): Promise<number>

  /** Writes down how far a run has come, or how it has ended. */
  recordRun(progress: RunProgress): Promise<void>

  /** Runs of a kind, or of all, the latest first. Those of a process that has ended are `stopped`. */
  listRuns(query: RunsQuery): Promise<Run[]>

  findRun(id: number): Promise<Run | undefined>

  /** The latest verification that hashes everything, however many others have come since. */
  findLastContentRun(): Promise<Run | undefined>
}

export type RunKind = 'gc' | 'retention' | 'verify' | 'backup'

/** braked: it has stopped before it did anything, or more, because it would have done too much. */
export type RunStatus = 'running' | 'done' | 'braked' | 'failed' | 'stopped'

export interface BeginRun {
  readonly kind: RunKind
  readonly at: number
  readonly identity: string
  /**
   * What it was asked for, and what it has found so far, in the kind's own form: plain JSON. Of a
   * verification `content: true` says that it hashes everything; the latest such is never forgotten.
   */
  readonly options: unknown
  readonly report: unknown
}

export interface RunProgress {
  readonly id: number
  readonly status: RunStatus
  readonly report: unknown
  /** Where to go on, for a kind that can. */
  readonly position?: string
  readonly finishedAt?: number
}

/** One run of what cleans up, checks or copies. */
export interface Run {
  readonly id: number
  readonly kind: RunKind
  readonly status: RunStatus
  readonly startedAt: number
  readonly finishedAt?: number
  readonly identity: string
  readonly options: unknown
  readonly report: unknown
  readonly position: string
}

export interface RunsQuery {
  /** Of all kinds when absent. */
  readonly kind?: RunKind
  /** Only those with a smaller id. */
  readonly before?: number
  readonly limit: number
  /** Without the lists in their reports, which may be as long as the rest a thousand times over. */
  readonly isBrief?: boolean
}
