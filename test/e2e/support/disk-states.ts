import type { Operation } from './ledger.js'
import type { Step } from './recording.js'
import { ReplayedDisk } from './replayed-disk.js'

/** What the disk could hold at one moment, and what clients knew by then. */
export interface State {
  /** For a person: which moment, and what was lost. */
  readonly name: string
  readonly write: (folder: string) => void
  readonly isAcknowledged: (operation: Operation) => boolean
}

type Writer = (folder: string) => void

/** Steps of processes that had the same folder one after the other, as those of one. */
export function oneAfterTheOther(lives: readonly (readonly Step[])[]): Step[] {
  let before = 0
  return lives.flatMap((steps) => {
    const offset = before
    before += 1 + Math.max(0, ...steps.map(({ doneAt }) => doneAt))
    return steps.map((step) => ({
      ...step,
      begunAt: step.begunAt + offset,
      doneAt: step.doneAt + offset,
    }))
  })
}

/**
 * The states of a disk that gets these steps.
 *
 * @param choose - what writes the state before the end of a step, or after all; undefined when it is
 *   not wanted. A state has to be written before the next one is asked for.
 */
export function* statesOf(
  steps: readonly Step[],
  choose: (disk: ReplayedDisk, next: Step | undefined) => Writer | undefined,
): Generator<State> {
  const disk = new ReplayedDisk()
  const stateBefore = (next: Step | undefined): State[] => {
    const write = choose(disk, next)
    if (write === undefined) return []
    const answers = disk.answers
    return [
      {
        name: next ? `before ${nameOf(next)}` : 'at the end',
        write,
        isAcknowledged: ({ isAcknowledged, place }) =>
          isAcknowledged && place !== undefined && place.index < (answers.get(place.port) ?? 0),
      },
    ]
  }
  for (const { step, isEnd } of eventsOf(steps)) {
    if (isEnd) {
      yield* stateBefore(step)
      disk.end(step)
    } else {
      disk.begin(step)
    }
  }
  yield* stateBefore(undefined)
}

/**
 * Between two of them the disk surely has the same. What clients know grows, so that the moment before
 * the next one asks the most of it.
 */
export function stepsThatMakeDurable(steps: readonly Step[]): Step[] {
  const found: Step[] = []
  const all = statesOf(steps, (disk, next) => {
    if (next && disk.makesDurable(next)) found.push(next)
    return undefined
  })
  if ([...all].length > 0) throw new Error('nothing was chosen')
  return found
}

function eventsOf(steps: readonly Step[]): { step: Step; isEnd: boolean }[] {
  const events = steps.flatMap((step) => [
    { step, at: step.begunAt, isEnd: false },
    { step, at: step.doneAt, isEnd: true },
  ])
  return events.sort((one, other) => one.at - other.at || Number(one.isEnd) - Number(other.isEnd))
}

function nameOf(step: Step): string {
  const what = step.kind === 'answer' ? `to port ${step.clientPort}` : step.path
  return `step ${step.doneAt} (${step.kind} ${what})`
}

/** What is left at the end of all when everything is lost that was not synced. */
export function endOf(steps: readonly Step[]): Iterable<State> {
  return statesOf(steps, (disk, next) =>
    next === undefined ? (folder) => disk.writeSynced(folder) : undefined,
  )
}
