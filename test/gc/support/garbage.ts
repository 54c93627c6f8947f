import type { RepositoryName } from '../../../src/oci/reference.js'
import { imageOf, indexWith, manifestUrl, type Client, type Content, type Image } from './client.js'
import type { Reliance } from './operations.js'
import { expireMs, leaseMs, undoMs, untaggedMs, type Collecting, type World } from './world.js'

/** Names and bytes that no other trial has. */
export interface Scene {
  readonly client: Client
  readonly world: World
  /** Where the garbage is. */
  readonly name: string
  /** Where something else is. */
  readonly other: string
  readonly seed: string
}

/** What may go by now, and how somebody may come back to it. */
export interface Garbage {
  readonly image: Image
  /** Its manifest was pushed, and not its blobs alone. */
  readonly wasPushed: boolean
  /** What held it: an index or a subject. */
  readonly holder?: Content
  readonly restores: readonly Restore[]
  /** The sessions of its config and its layer, and of each what they have not got yet. */
  readonly uploads?: readonly { readonly location: string; readonly rest: Buffer }[]
  /** What another repository has that needs the same bytes. */
  readonly sharer?: Image
}

export interface Restore {
  readonly what: object
  /** Takes note of what is there again. */
  readonly note: () => void
}

export interface GarbageKind {
  readonly title: string
  readonly collecting: Collecting
  /** Which operations come to something else here than with any other garbage. */
  readonly tries: readonly Reliance[]
  /** Kinds of calls that collecting it makes, besides those that any collecting does. */
  readonly calls: readonly string[]
  readonly make: (scene: Scene) => Promise<Garbage>
  /** Messages of the log that are no complaint here. */
  readonly tolerates?: RegExp
}

const scheduled = 'scheduled'
const removesFile = ['blobs.remove', 'metadata.forgetFileRemovals']

async function unused({ client, world, name, seed }: Scene): Promise<Garbage> {
  const image = imageOf(seed)
  for (const blob of image.needs) await client.post(name, blob)
  world.wait(leaseMs)
  client.forget('/v2/')
  return { image, wasPushed: false, restores: [] }
}

const deletedManifest = (waitMs: number) => async (scene: Scene) => {
  const { client, world, name, seed } = scene
  const image = imageOf(seed)
  await client.pushImage(name, 'v1', image)
  await client.delete(manifestUrl(name, image))
  client.forget('/v2/')
  world.wait(waitMs)
  const note = () => client.hasManifest(name, image, 'v1')
  return {
    ...{ image, wasPushed: true },
    restores: [
      { what: { digest: image.digest }, note },
      { what: { tag: 'v1' }, note },
    ],
  }
}

const untaggedManifest = (waitMs: number) => async (scene: Scene) => {
  const { client, world, name, seed } = scene
  const image = imageOf(seed)
  const next = imageOf(`${seed} next`, { part: '3' })
  await client.pushImage(name, 'v1', image)
  await client.pushImage(name, 'v1', next)
  world.wait(waitMs)
  client.forget('/v2/')
  client.hasManifest(name, next, 'v1')
  const note = () => {
    client.forget('/v2/')
    client.hasManifest(name, image, 'v1')
  }
  return { image, wasPushed: true, restores: [{ what: { tag: 'v1' }, note }] }
}

const childOfDeletedIndex = (waitMs: number) => async (scene: Scene) => {
  const { client, world, name, seed } = scene
  const image = imageOf(seed)
  const index = indexWith(image)
  await client.pushImage(name, undefined, image)
  await client.putManifest(name, 'multi', index)
  await client.delete(manifestUrl(name, index))
  client.forget('/v2/')
  world.wait(waitMs)
  const note = () => client.hasManifest(name, index, 'multi')
  return {
    ...{ image, wasPushed: true, holder: index },
    restores: [
      { what: { digest: index.digest }, note },
      { what: { tag: 'multi' }, note },
    ],
  }
}

async function referrerOfDeletedSubject(scene: Scene): Promise<Garbage> {
  const { client, world, name, seed } = scene
  const subject = imageOf(`${seed} subject`, { part: '3' })
  const image = imageOf(seed, { subject })
  await client.pushImage(name, 'v1', subject)
  await client.pushImage(name, undefined, image)
  await client.delete(manifestUrl(name, subject))
  client.forget('/v2/')
  world.wait(undoMs)
  const note = () => {
    client.hasManifest(name, subject)
    client.hasManifest(name, image)
  }
  return {
    ...{ image, wasPushed: true, holder: subject },
    restores: [{ what: { digest: subject.digest }, note }],
  }
}

const deletedRepository = (waitMs: number) => async (scene: Scene) => {
  const { client, world, name, seed } = scene
  const image = imageOf(seed)
  await client.pushImage(name, 'v1', image)
  await client.deleteRepository(name)
  client.forget('/v2/')
  world.wait(waitMs)
  const note = () => client.hasManifest(name, image, 'v1')
  return { image, wasPushed: true, restores: [{ what: {}, note }] }
}

async function shared(scene: Scene): Promise<Garbage> {
  const { client, world, name, other, seed } = scene
  const image = imageOf(seed)
  await client.pushImage(name, 'v1', image)
  await client.pushImage(other, 'v1', image)
  await client.delete(manifestUrl(name, image))
  world.wait(undoMs)
  client.forget('/v2/')
  client.hasManifest(other, image, 'v1')
  const note = () => client.hasManifest(name, image)
  return {
    ...{ image, wasPushed: true, sharer: image },
    restores: [{ what: { digest: image.digest }, note }],
  }
}

async function expiredUploads({ client, world, name, seed }: Scene): Promise<Garbage> {
  const image = imageOf(seed)
  const uploads = []
  for (const { bytes } of image.needs) {
    const location = await client.openUpload(name)
    await client.append(location, bytes.subarray(0, -10))
    uploads.push({ location, rest: bytes.subarray(-10) })
  }
  world.wait(expireMs + 1)
  return { image, wasPushed: false, restores: [], uploads }
}

/** As after a crash: the bytes have their place, and no row tells of them. */
async function brokenCommit({ client, world, name, seed }: Scene): Promise<Garbage> {
  const image = imageOf(seed)
  const [, { digest, bytes }] = image.needs
  const location = await client.openUpload(name)
  await client.append(location, bytes)
  const id = location.split('/').at(-1) ?? ''
  const { metadata, blobs } = world.stores
  await metadata.beginCommit({ id, digest, at: world.now })
  await blobs.commit(id, { digest, sizeBytes: bytes.byteLength })
  world.wait(expireMs + 1)
  return { image, wasPushed: false, restores: [] }
}

/** Somebody has found bytes damaged, and nobody has put them aside yet. */
async function damaged({ client, world, name, seed }: Scene): Promise<Garbage> {
  const image = imageOf(seed)
  for (const blob of image.needs) await client.post(name, blob)
  const { digest } = image.needs[1]
  const { metadata } = world.stores
  const blob = await metadata.getBlob(name as RepositoryName, digest)
  await metadata.markBlobDamaged({ digest, storedAt: blob.storedAt }, world.now)
  world.wait(leaseMs)
  client.forget('/v2/')
  return { image, wasPushed: false, restores: [] }
}

export const GARBAGE: readonly GarbageKind[] = [
  {
    title: 'blobs whose lease is over',
    tries: ['push', 'promise', 'read'],
    ...{ collecting: scheduled, calls: removesFile, make: unused },
  },
  {
    title: 'a deleted manifest past the undo window',
    tries: ['promise', 'manifest', 'restore', 'read'],
    ...{ collecting: scheduled, calls: removesFile, make: deletedManifest(undoMs) },
  },
  {
    title: 'a deleted manifest, purged',
    tries: ['restore'],
    ...{ collecting: 'purge', calls: removesFile, make: deletedManifest(0) },
  },
  {
    title: 'an untagged manifest of age',
    tries: ['manifest', 'restore', 'read'],
    ...{ collecting: scheduled, calls: removesFile, make: untaggedManifest(untaggedMs) },
  },
  {
    title: 'an untagged manifest that need not age',
    tries: ['restore'],
    ...{ collecting: 'now', calls: removesFile, make: untaggedManifest(undoMs) },
  },
  {
    title: 'an untagged manifest, purged',
    tries: ['restore'],
    ...{ collecting: 'purge', calls: removesFile, make: untaggedManifest(0) },
  },
  {
    title: 'a child of a deleted index',
    tries: ['manifest', 'restore'],
    ...{ collecting: 'asked', calls: removesFile, make: childOfDeletedIndex(undoMs) },
  },
  {
    title: 'a child of a deleted index, purged',
    tries: ['restore'],
    ...{ collecting: 'purge', calls: removesFile, make: childOfDeletedIndex(0) },
  },
  {
    title: 'a referrer of a deleted subject',
    tries: ['manifest', 'restore'],
    ...{ collecting: scheduled, calls: removesFile, make: referrerOfDeletedSubject },
  },
  {
    title: 'a deleted repository past the undo window',
    tries: ['push', 'promise', 'restore'],
    ...{ collecting: scheduled, calls: removesFile, make: deletedRepository(undoMs) },
  },
  {
    title: 'a deleted repository, purged',
    tries: ['promise', 'restore'],
    ...{ collecting: 'purge', calls: removesFile, make: deletedRepository(0) },
  },
  {
    title: 'a deleted manifest whose blobs another repository keeps',
    tries: ['promise', 'restore', 'read'],
    ...{ collecting: scheduled, calls: [], make: shared },
  },
  {
    title: 'expired uploads',
    tries: ['push'],
    ...{ collecting: 'asked', make: expiredUploads },
    calls: ['blobs.abort', 'metadata.forgetUploadRemains'],
  },
  {
    title: 'the bytes of an upload that a crash has interrupted',
    tries: ['push', 'read'],
    ...{ collecting: 'asked', calls: removesFile, make: brokenCommit },
  },
  {
    title: 'damaged bytes that are to be put aside',
    tries: ['push', 'read'],
    ...{ collecting: scheduled, make: damaged },
    calls: ['blobs.quarantine', 'metadata.forgetFileRemovals'],
    tolerates: /damaged bytes were put aside/,
  },
]
