import { figuresOf, medians } from './figures.mjs'

/** How much of a round is run before the first one, for just-in-time compilers and caches. */
const warmUpShare = 0.2

/**
 * A server under measurement.
 *
 * @typedef {object} Running
 * @property {{ name: string, isOurs: boolean, ca?: string, blobsIn?: (data: string) => string }} target
 * @property {{ host: string, port: number, pid: number, startMs?: number,
 *   usage: import('./targets/process-usage.mjs').ProcessUsage, stop: () => Promise<void> }} server
 * @property {string} [data] - its folder
 */

/**
 * One run of the benchmark: what a workload measures with.
 */
export class Run {
  #report
  #generator

  constructor({ options, workspace, targets, generator, stores, report, say }) {
    /** @type {import('./options.mjs').Options} */
    this.options = options
    /** @type {import('./workspace.mjs').Workspace} */
    this.workspace = workspace
    this.targets = targets
    /** Those that the run starts itself, on stores of its choice. */
    this.ownTargets = targets.filter(({ blobsIn }) => blobsIn !== undefined)
    /** @type {import('./stores/stores.mjs').Stores} */
    this.stores = stores
    /** Tells whoever waits what goes on. */
    this.say = say
    this.#generator = generator
    this.#report = report
  }

  /**
   * Starts all targets, each on a new and empty store, for as long as `work` takes.
   *
   * @template T
   * @param {(servers: readonly Running[]) => Promise<T>} work
   * @param {readonly object[]} [targets]
   * @returns {Promise<T>}
   */
  async onEmptyStores(work, targets = this.targets) {
    const places = targets.map((target) => ({
      target,
      data: target.blobsIn && this.workspace.newFolder(target.name),
    }))
    try {
      return await this.on(places, work)
    } finally {
      for (const { data } of places) if (data !== undefined) this.workspace.remove(data)
    }
  }

  /** The same on stores that are there already. */
  async on(places, work) {
    /** @type {Running[]} */
    const servers = []
    try {
      for (const { target, data } of places) {
        servers.push({ target, data, server: await target.start(this.workspace, data) })
      }
      return await work(servers)
    } finally {
      for (const { server } of servers) await server.stop()
    }
  }

  /**
   * A table of its own.
   *
   * @param {import('./table.mjs').Section} section
   * @param {() => Promise<void>} work - what adds its rows
   */
  async section(section, work) {
    this.#report.begin(section)
    await work()
    this.#report.end()
  }

  /** Runs a load that nobody measures. */
  load(running, load, job) {
    return this.#generator.run(load, { server: addressOf(running), ...job })
  }

  /**
   * Runs a load and tells what it cost.
   *
   * @param {Running} running
   * @returns {Promise<{ summary: object, cost: { cpuSeconds: number, peakMiB: number } }>}
   */
  async measure(running, load, job) {
    const { usage } = running.server
    let before
    const summary = await this.#generator.run(load, { server: addressOf(running), ...job }, () => {
      usage.resetPeak()
      before = usage.snapshot()
    })
    const cpuSeconds = usage.cpuSecondsSince(before)
    return { summary, cost: { cpuSeconds, peakMiB: usage.peakMiB } }
  }

  /**
   * Measures one row: the same load on each server in turn, round after round.
   *
   * @param {readonly Running[]} servers
   * @param {object} row
   * @param {string} row.name
   * @param {keyof typeof import('./figures.mjs').units} row.unit
   * @param {(running: Running, round: number) => { load: string, job: object }} row.work
   * @param {boolean} [row.warmsUp] - runs some of it before; only a load with a time can
   * @param {number} [row.rounds]
   * @param {(running: Running) => void | Promise<void>} [row.after] - tidies up after each round
   * @param {(running: Running) => Promise<object>} [row.extra] - figures that need no rounds
   */
  async loadRow(servers, { name, unit, work, warmsUp = false, rounds, after, extra }) {
    await this.row(servers, {
      name,
      unit,
      rounds,
      extra,
      prepare: async (running) => {
        if (!warmsUp) return
        const { load, job } = work(running, 0)
        const seconds = job.limits.seconds * warmUpShare
        await this.load(running, load, { ...job, limits: { ...job.limits, seconds } })
      },
      cell: async (running, round) => {
        const { load, job } = work(running, round)
        const { summary, cost } = await this.measure(running, load, job)
        await after?.(running)
        return figuresOf(unit, summary, cost)
      },
    })
  }

  /**
   * The same for figures of any kind: `cell` tells those of one server in one round.
   *
   * @param {readonly Running[]} servers
   */
  async row(servers, { name, unit, rounds = this.options.rounds, prepare, cell, extra }) {
    const cells = new Map(servers.map((running) => [running, []]))
    const extras = new Map()
    for (const running of servers) {
      await this.#tolerating(cells, running, name, async () => {
        await prepare?.(running)
        extras.set(running, await extra?.(running))
      })
    }
    for (let round = 0; round < rounds; round++) {
      for (const running of [...cells.keys()]) {
        await this.#tolerating(cells, running, name, async () =>
          cells.get(running).push(await cell(running, round)),
        )
      }
    }
    const targets = Object.fromEntries(
      [...cells].map(([running, figures]) => [
        running.target.name,
        { ...medians(figures), ...extras.get(running) },
      ]),
    )
    this.#report.add({ name, unit, rounds, targets })
  }

  /** What another registry cannot do is a gap in the table; what Berth cannot do ends the run. */
  async #tolerating(cells, running, name, work) {
    if (!cells.has(running)) return
    try {
      await work()
    } catch (error) {
      if (running.target.isOurs) throw error
      cells.delete(running)
      this.say(`${name}: no figures of ${running.target.name}: ${error.message}`)
    }
  }
}

/** @param {Running} running */
function addressOf({ target: { ca }, server: { host, port } }) {
  return { host, port, ca }
}
