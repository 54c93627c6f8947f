import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const root = new URL('..', import.meta.url).href

/** So many functions say where the time goes; what follows is below a hundredth. */
const functionsShown = 20

/**
 * CPU profiles of Berth, made by Node.js itself and summed up as text: for each workload and each
 * thread that runs JavaScript, whose code is busy, and in which functions. What the kernel does for
 * the event loop counts as the function that asked for it; the thread pool is in no profile.
 */
export class Profiles {
  #folder
  #raw
  /** Those of workloads before. */
  #done = new Set()

  /**
   * @param {string} folder - where a file for each workload goes
   * @param {import('./workspace.mjs').Workspace} workspace
   */
  constructor(folder, workspace) {
    this.#folder = folder
    this.#raw = workspace.newFolder('profiles')
  }

  /** What Node.js is to be started with. */
  get nodeOptions() {
    return ['--cpu-prof', '--cpu-prof-dir', this.#raw]
  }

  /** Sums up what the servers of a workload have left, all of them together. */
  write({ name, title }) {
    const files = readdirSync(this.#raw).map((file) => path.join(this.#raw, file))
    const profiles = files
      .filter((file) => !this.#done.has(file))
      .map((file) => JSON.parse(readFileSync(file, 'utf8')))
    for (const file of files) this.#done.add(file)
    const of = (thread) => profiles.filter((profile) => threadOf(profile) === thread)
    const threads = ['Event loop', ...Object.values(otherThreads)]
    const text = threads.map((thread) => summary(thread, of(thread))).join('\n')
    mkdirSync(this.#folder, { recursive: true })
    writeFileSync(path.join(this.#folder, `${name}.txt`), `${title}\n\n${text}`)
  }
}

/** By the file that each begins with. */
const otherThreads = {
  'writer-thread.js': 'Writer of the database',
  'password-thread.js': 'Passwords',
}

function threadOf({ nodes }) {
  const files = new Set(nodes.map(({ callFrame: { url } }) => path.basename(url)))
  const own = Object.entries(otherThreads).find(([file]) => files.has(file))
  return own?.[1] ?? 'Event loop'
}

function summary(thread, profiles) {
  const functions = new Map()
  const owners = new Map()
  let idle = 0
  let busy = 0
  for (const { nodes, samples, timeDeltas } of profiles) {
    const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
    for (const [index, id] of samples.entries()) {
      const { functionName, url } = frames.get(id)
      const microseconds = timeDeltas[index]
      if (functionName === '(idle)') {
        idle += microseconds
        continue
      }
      busy += microseconds
      add(functions, `${functionName || '(anonymous)'}  ${placeOf(url)}`.trimEnd(), microseconds)
      add(owners, ownerOf(functionName, url), microseconds)
    }
  }
  if (busy === 0) return ''
  const lines = (shares, count = Infinity) =>
    [...shares]
      .sort(([, a], [, b]) => b - a)
      .slice(0, count)
      .map(([name, microseconds]) => `${percent(microseconds / busy)}  ${name}\n`)
      .join('')
  const head = `${thread}: busy for ${percent(busy / (busy + idle)).trim()} of ${seconds(busy + idle)}`
  return `${head}\n\n${lines(owners)}\n${lines(functions, functionsShown)}`
}

function add(map, key, value) {
  map.set(key, (map.get(key) ?? 0) + value)
}

function placeOf(url) {
  const own = url.startsWith(root) ? url.slice(root.length) : url
  return own.replace(/^.*node_modules\//, '')
}

function ownerOf(functionName, url) {
  if (functionName === '(garbage collector)') return 'garbage collector'
  if (url === '') return 'native code and the kernel'
  if (url.includes('/node_modules/')) return 'libraries'
  return url.startsWith(root) ? 'Berth' : 'Node.js'
}

function percent(share) {
  return `${(share * 100).toFixed(1)} %`.padStart(8)
}

function seconds(microseconds) {
  return `${(microseconds / 1e6).toFixed(1)} s`
}
