import { blobUrl, indexWith, manifestUrl, type Client, type Content } from './client.js'
import type { Garbage, Scene } from './garbage.js'

/**
 * What an operation relies on. push: on nothing, it brings the bytes. promise: on what it was told of
 * blobs. manifest: on manifests that are there or not. restore: on the undo window.
 */
export type Reliance = 'push' | 'promise' | 'manifest' | 'restore' | 'read'

/** What a client does with a digest that may be going. */
export interface Operation {
  readonly title: string
  readonly relies: Reliance
  /** Whether there is anything of this garbage to do it with; wherever it makes sense when absent. */
  readonly suits?: (garbage: Garbage) => boolean
  readonly begin: (scene: Scene, garbage: Garbage) => Acts
}

export interface Acts {
  /** What it has done before anything is collected. */
  readonly before?: () => Promise<void>
  /** What it does meanwhile. */
  readonly during: () => Promise<void>
  /** What it does in reliance on that, when all has been collected. */
  readonly after?: () => Promise<void>
}

/** The manifest cannot be stored without what it needs. */
const stored = [201]
const storedOrNot = [201, 400, 404]

async function pushBySession(client: Client, name: string, blob: Content): Promise<void> {
  const location = await client.openUpload(name)
  const half = blob.bytes.byteLength >> 1
  await client.append(location, blob.bytes.subarray(0, half))
  await client.finish(name, location, blob, blob.bytes.subarray(half))
}

/** As clients do: asks for each, and sends those that are not there. */
async function confirmOrPush(client: Client, name: string, { needs }: Content): Promise<void> {
  for (const blob of needs) {
    if (!(await client.confirmBlob(name, blob))) await client.post(name, blob)
  }
}

/** As clients do: sends what cannot be mounted. */
async function mountOrPush(
  client: Client,
  name: string,
  { needs }: Content,
  from?: string,
): Promise<void> {
  for (const blob of needs) {
    const source = from === undefined ? '' : `&from=${encodeURIComponent(from)}`
    const url = `/v2/${name}/blobs/uploads/?mount=${blob.digest}${source}`
    const { status, location } = await client.request('POST', url, [201, 202])
    if (status === 201) client.hasBlob(name, blob)
    else await client.finish(name, location, blob, blob.bytes)
  }
}

export const OPERATIONS: readonly Operation[] = [
  {
    title: 'its blobs are pushed by single requests',
    relies: 'push',
    begin: ({ client, name }, { image }) => ({
      during: async () => {
        for (const blob of image.needs) await client.post(name, blob)
      },
      after: async () => void (await client.putManifest(name, 'again', image, stored)),
    }),
  },
  {
    title: 'its blobs are pushed by sessions',
    relies: 'push',
    begin: ({ client, name }, { image }) => ({
      during: async () => {
        for (const blob of image.needs) await pushBySession(client, name, blob)
      },
      after: async () => void (await client.putManifest(name, 'again', image, stored)),
    }),
  },
  {
    title: 'sessions that were open before are finished with its blobs',
    relies: 'push',
    begin: ({ client, name }, { image }) => {
      const opened: { readonly location: string; readonly blob: Content }[] = []
      return {
        before: async () => {
          for (const blob of image.needs) {
            const location = await client.openUpload(name)
            await client.append(location, blob.bytes)
            opened.push({ location, blob })
          }
        },
        during: async () => {
          for (const { location, blob } of opened) {
            await client.finish(name, location, blob, Buffer.alloc(0))
          }
        },
        after: async () => void (await client.putManifest(name, 'again', image, stored)),
      }
    },
  },
  {
    title: 'its blobs are asked for, and a manifest that needs them comes later',
    relies: 'promise',
    begin: ({ client, name }, { image }) => ({
      during: async () => {
        for (const blob of image.needs) {
          if (!(await client.confirmBlob(name, blob))) await client.post(name, blob)
        }
      },
      after: async () => void (await client.putManifest(name, 'again', image, stored)),
    }),
  },
  {
    title: 'its blobs are asked for, and a manifest that needs them comes at once',
    relies: 'promise',
    begin: ({ client, name }, { image }) => ({
      during: async () => {
        await confirmOrPush(client, name, image)
        await client.putManifest(name, 'again', image, stored)
      },
    }),
  },
  {
    title: 'its blobs are mounted elsewhere, and a manifest that needs them comes later',
    relies: 'promise',
    begin: ({ client, name, other }, { image }) => ({
      during: () => mountOrPush(client, other, image, name),
      after: async () => void (await client.putManifest(other, 'mounted', image, stored)),
    }),
  },
  {
    title: 'its blobs are mounted from anywhere, and a manifest that needs them comes at once',
    relies: 'promise',
    begin: ({ client, other }, { image }) => ({
      during: async () => {
        await mountOrPush(client, other, image)
        await client.putManifest(other, 'mounted', image, stored)
      },
    }),
  },
  {
    title: 'its blobs are mounted back from where they stay',
    relies: 'promise',
    suits: ({ sharer }) => sharer !== undefined,
    begin: ({ client, name, other }, { image }) => ({
      during: () => mountOrPush(client, name, image, other),
      after: async () => void (await client.putManifest(name, 'mounted', image, stored)),
    }),
  },
  {
    title: 'its manifest is pushed by a tag',
    relies: 'manifest',
    begin: ({ client, name }, { image }) => ({
      during: async () => void (await client.putManifest(name, 'again', image, storedOrNot)),
    }),
  },
  {
    title: 'its manifest is pushed by its digest',
    relies: 'manifest',
    begin: ({ client, name }, { image }) => ({
      during: async () => void (await client.putManifest(name, image.digest, image, storedOrNot)),
    }),
  },
  {
    title: 'its manifest is asked for, and an index that has it comes later',
    relies: 'manifest',
    suits: ({ wasPushed }) => wasPushed,
    begin: ({ client, name }, { image }) => {
      let isThere = false
      return {
        during: async () => void (isThere = await client.confirmManifest(name, image)),
        after: async () => {
          if (isThere) await client.putManifest(name, 'again', indexWith(image), stored)
        },
      }
    },
  },
  {
    title: 'what held it is pushed again',
    relies: 'manifest',
    suits: ({ holder }) => holder !== undefined,
    begin: ({ client, name }, { holder }) => ({
      during: async () => {
        if (holder) await client.putManifest(name, 'again', holder, storedOrNot)
      },
    }),
  },
  ...[0, 1].map((index) => ({
    title: `it is restored${index === 0 ? '' : ' with its tag'}`,
    relies: 'restore' as const,
    suits: ({ restores }: Garbage) => restores.length > index,
    begin: ({ client, name }: Scene, { restores }: Garbage) => ({
      during: async () => {
        const restore = restores[index]
        if (restore && (await client.restore(name, restore.what))) restore.note()
      },
    }),
  })),
  {
    title: 'the other holder of its blobs is deleted, and restored later',
    relies: 'promise',
    suits: ({ sharer }) => sharer !== undefined,
    begin: ({ client, other }, { sharer }) => ({
      during: async () => {
        if (sharer === undefined) return
        await client.delete(manifestUrl(other, sharer))
        client.forget(`/v2/${other}/`)
      },
      after: async () => {
        if (sharer === undefined) return
        await client.restore(other, { digest: sharer.digest }, [200])
        client.hasManifest(other, sharer, 'v1')
      },
    }),
  },
  {
    title: 'it is read',
    relies: 'read',
    begin: ({ client, name }, { image }) => ({
      during: async () => {
        await client.read(manifestUrl(name, image), image)
        for (const blob of image.needs) await client.read(blobUrl(name, blob), blob)
      },
    }),
  },
  {
    title: 'its blobs are deleted',
    relies: 'promise',
    begin: ({ client, name }, { image }) => ({
      during: async () => {
        // A manifest that can be restored may need them.
        for (const blob of image.needs) await client.delete(blobUrl(name, blob), [202, 404, 405])
      },
    }),
  },
  {
    title: 'its sessions go on',
    relies: 'push',
    suits: ({ uploads }) => uploads !== undefined,
    begin: ({ client, name }, { image, uploads = [] }) => ({
      during: async () => {
        for (const [index, { location, rest }] of uploads.entries()) {
          const blob = image.needs[index]
          if (blob === undefined) continue
          const url = `${location}?digest=${blob.digest}`
          const { status } = await client.request('PUT', url, [201, 404], { body: rest })
          if (status === 201) client.hasBlob(name, blob)
        }
      },
    }),
  },
  {
    title: 'its sessions are cancelled',
    relies: 'push',
    suits: ({ uploads }) => uploads !== undefined,
    begin: ({ client }, { uploads = [] }) => ({
      during: async () => {
        for (const { location } of uploads) await client.request('DELETE', location, [204, 404])
      },
    }),
  },
]
