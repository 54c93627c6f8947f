import { readFileSync, readdirSync, writeFileSync } from 'node:fs'

/** Linux counts CPU time for programs in hundredths of a second, on every architecture. */
const ticksPerSecond = 100

/** By how much the two ways of counting may differ while no thread has ended. */
const roundingSeconds = 0.03

/**
 * What a process costs, with all its threads and all processes below it, as /proc tells.
 *
 * CPU time is counted twice. `stat` has it whole, with threads and children that have ended, but
 * in hundredths of a second. `schedstat` has it in nanoseconds, but only of threads that are
 * there. The finer one is used unless it lacks what the coarse one has.
 */
export class ProcessUsage {
  #pid

  /** @param {number} pid */
  constructor(pid) {
    this.#pid = pid
  }

  /** What it has cost so far: for {@link cpuSecondsSince}. */
  snapshot() {
    let ticks = 0
    let nanoseconds = 0
    for (const pid of processTree(this.#pid)) {
      ticks += ticksOf(pid)
      nanoseconds += nanosecondsOf(pid)
    }
    return { coarse: ticks / ticksPerSecond, fine: nanoseconds / 1e9 }
  }

  cpuSecondsSince(before) {
    const now = this.snapshot()
    const coarse = now.coarse - before.coarse
    const fine = now.fine - before.fine
    return coarse - fine > roundingSeconds ? coarse : fine
  }

  /** What it holds in memory now, in MiB. Pages that two processes share count twice. */
  get residentMiB() {
    return this.#sumOf('VmRSS')
  }

  /** The most that it held in memory since {@link resetPeak}, or since it started, in MiB. */
  get peakMiB() {
    return this.#sumOf('VmHWM')
  }

  /** @throws {Error} when the process belongs to somebody else */
  resetPeak() {
    for (const pid of processTree(this.#pid)) writeFileSync(`/proc/${pid}/clear_refs`, '5')
  }

  #sumOf(key) {
    const pattern = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm')
    return processTree(this.#pid).reduce((total, pid) => {
      const found = pattern.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
      return total + Number(found?.[1] ?? 0) / 1024
    }, 0)
  }
}

/** A process and all below it. */
export function processTree(pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    (readIfThere(`/proc/${pid}/task/${thread}/children`) ?? '').split(' ').filter(Boolean),
  )
  return [pid, ...children.flatMap((child) => processTree(Number(child)))]
}

/** User and system time, of the process and of its children that have ended. */
function ticksOf(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is a name in brackets, and may have spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((total, ticks) => total + Number(ticks), 0)
}

function nanosecondsOf(pid) {
  return readdirSync(`/proc/${pid}/task`).reduce((total, thread) => {
    const text = readIfThere(`/proc/${pid}/task/${thread}/schedstat`)
    return total + Number(text?.split(' ')[0] ?? 0)
  }, 0)
}

/** Threads end while one looks, and not every kernel has every file. */
function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
