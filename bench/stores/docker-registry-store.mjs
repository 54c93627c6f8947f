/**
 * Fills the root directory of a docker-registry with more than anyone would push in a minute: the
 * files that it would have written, as its `storage/paths.go` describes them. What neither lists
 * nor deletes look at is left out: the former manifests of tags, and most manifests.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { image, repositoryName, TAGGED, tagName } from './names.mjs'

const filesInGroup = 1000

/** Of the tags, every so many can be deleted: their manifests are there. */
export const wholeTagEvery = 20

/**
 * @param {string} directory - an empty folder
 * @param {object} sizes
 * @param {number} sizes.repositories - one more is {@link TAGGED}
 * @param {number} sizes.tags - of {@link TAGGED}, each with a manifest of its own
 */
export async function buildDockerRegistryStore(directory, { repositories, tags }) {
  const root = path.join(directory, 'docker', 'registry', 'v2')
  const folderOf = (name) => path.join(root, 'repositories', name)
  let written = 0
  const pause = async () => {
    // Lets an interrupt through.
    if (++written % filesInGroup === 0) await setImmediate()
  }

  for (let index = 0; index < repositories; index++) {
    // What makes a folder a repository to its catalog.
    mkdirSync(path.join(folderOf(repositoryName(index)), '_layers'), { recursive: true })
    await pause()
  }
  mkdirSync(path.join(folderOf(TAGGED), '_layers'), { recursive: true })
  const manifests = path.join(folderOf(TAGGED), '_manifests')
  for (let index = 0; index < tags; index++) {
    const { bytes, digest } = image(`${TAGGED}:${tagName(index)}`)
    const hex = digest.slice('sha256:'.length)
    if (index % wholeTagEvery === 0) {
      writeInFolder(path.join(root, 'blobs', 'sha256', hex.slice(0, 2), hex), 'data', bytes)
      writeInFolder(path.join(manifests, 'revisions', 'sha256', hex), 'link', digest)
    }
    writeInFolder(path.join(manifests, 'tags', tagName(index), 'current'), 'link', digest)
    await pause()
  }
}

function writeInFolder(folder, name, bytes) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(path.join(folder, name), bytes)
}
