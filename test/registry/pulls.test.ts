import { pino } from 'pino'
import { expect, it } from 'vitest'
import type { Pull } from '../../src/metadata/manifests.js'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import type { Digest } from '../../src/oci/digest.js'
import { Pulls } from '../../src/registry/pulls.js'
import { sha256 } from '../support/images.js'
import { APP, AT } from '../support/records.js'

/** Pulls that are written to a list, when it takes them. */
function startPulls() {
  const written: Pull[][] = []
  const disk = { isFull: false }
  const recordPulls = async (pulls: readonly Pull[]) => {
    if (disk.isFull) throw new Error('the disk is full')
    written.push([...pulls])
  }
  const clock = { at: AT }
  const metadata = { recordPulls } as Partial<MetadataStore> as MetadataStore
  const pulls = new Pulls(metadata, pino({ level: 'silent' }), () => clock.at)
  return { pulls, written, disk, clock }
}

it('writes a few at a time, and nothing twice', async () => {
  const { pulls, written } = startPulls()
  const digests = Array.from({ length: 40 }, (_, index) => sha256(`${index}`))
  for (const digest of digests) pulls.note(APP, digest)

  await pulls.flush()
  await pulls.flush()

  expect(written.map((batch) => batch.length)).toEqual([16, 16, 8])
  expect(written.flat().map(({ digest }) => digest)).toEqual(digests)
})

it('keeps what cannot be written for the next time, and closes all the same', async () => {
  const { pulls, written, disk, clock } = startPulls()
  pulls.note(APP, sha256('a'))
  disk.isFull = true
  await expect(pulls.flush()).rejects.toThrow('full')
  await pulls.close()
  disk.isFull = false
  clock.at += 60_000
  pulls.note(APP, sha256('a'))

  await pulls.flush()

  expect(written).toEqual([[{ repository: APP, digest: sha256('a'), at: AT + 60_000 }]])
})

it('remembers no more than some thousand, whatever is pulled', async () => {
  const { pulls, written } = startPulls()
  const digestOf = (index: number) => `sha256:${index}` as Digest

  for (let index = 0; index < 25_000; index++) pulls.note(APP, digestOf(index))
  await pulls.flush()

  expect(written.flat()).toHaveLength(10_000)
  pulls.note(APP, digestOf(20_000))
  await pulls.flush()
  expect(written.flat()).toHaveLength(10_001)
})
