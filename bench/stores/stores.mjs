import { createHash } from 'node:crypto'
import {
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildBerthStore, migrations } from './berth-store.mjs'
import { buildDockerRegistryStore } from './docker-registry-store.mjs'

const sources = ['berth-store.mjs', 'image-store.mjs', 'names.mjs'].map((name) =>
  fileURLToPath(new URL(name, import.meta.url)),
)

/**
 * The stores of a run that are too large to be pushed: each is built for the first workload that
 * asks for it, and is the same folder for the next ones.
 */
export class Stores {
  #workspace
  #say
  #keptIn
  #built = new Map()

  /**
   * @param {object} options
   * @param {import('../workspace.mjs').Workspace} options.workspace
   * @param {string} [options.keptIn] - a folder where Berth's are kept from run to run; a run
   *   works on copies
   * @param {(text: string) => void} options.say
   */
  constructor({ workspace, keptIn, say }) {
    this.#workspace = workspace
    this.#keptIn = keptIn
    this.#say = say
  }

  /**
   * @param {{ name: string }} target
   * @param {import('./berth-store.mjs').Sizes | import('./berth-store.mjs').ImageSizes} sizes
   * @returns {Promise<string>} the data directory
   */
  of({ name }, sizes) {
    const key = `${name} ${JSON.stringify(sizes)}`
    if (!this.#built.has(key)) this.#built.set(key, this.#make(name, sizes))
    return this.#built.get(key)
  }

  /**
   * A store of a run once more, to be changed.
   *
   * @param {string} directory - of one that nobody serves right now
   */
  copyOf(directory) {
    const copy = this.#workspace.newFolder('store')
    copyInto(copy, directory)
    return copy
  }

  async #make(name, sizes) {
    this.#workspace.requireSpace(entriesOf(sizes) * bytesOfEntry[name])
    const directory = this.#workspace.newFolder(`${name}-store`)
    const startedAt = performance.now()
    const isKept = name === 'berth' && this.#keptIn !== undefined
    if (isKept) copyInto(directory, await this.#kept(sizes))
    else await build[name](directory, sizes)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    const counts = Object.entries(sizes).map(
      ([what, count]) => `${count.toLocaleString('en')} ${what}`,
    )
    this.#say(`a store of ${name} with ${counts.join(', ')}: ready after ${seconds} s`)
    return directory
  }

  async #kept(sizes) {
    const place = path.join(this.#keptIn, `berth-${fingerprint(sizes)}`)
    if (existsSync(place)) return place
    // Under its own name only when it is whole.
    const unfinished = `${place}.unfinished`
    rmSync(unfinished, { recursive: true, force: true })
    mkdirSync(unfinished, { recursive: true })
    await build.berth(unfinished, sizes)
    renameSync(unfinished, place)
    return place
  }
}

const build = { berth: buildBerthStore, 'docker-registry': buildDockerRegistryStore }

/** Repositories, tags, and what an image of an {@link ImageSizes} is worth of them. */
function entriesOf({ repositories = 0, images = 0, tags, carriers = 0 }) {
  return repositories + images * 4 + tags * (1 + carriers)
}

/** What a repository or a tag takes of the disk, at most. */
const bytesOfEntry = { berth: 3 * 1024, 'docker-registry': 16 * 1024 }

/** Differs as soon as a store that is built now would. */
function fingerprint(sizes) {
  const hash = createHash('sha256').update(JSON.stringify(sizes))
  const steps = readdirSync(migrations).sort()
  for (const file of [...steps.map((name) => path.join(migrations, name)), ...sources]) {
    hash.update(readFileSync(file))
  }
  return hash.digest('hex').slice(0, 16)
}

function copyInto(to, from) {
  cpSync(from, to, { recursive: true, mode: constants.COPYFILE_FICLONE })
}
