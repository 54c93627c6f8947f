import { createHash } from 'node:crypto'

/** What `tags` of a registry point to: `name:tag` → digest. */
export type Contents = ReadonlyMap<string, string>

interface Descriptor {
  readonly digest: string
  readonly size: number
  readonly mediaType?: string
  readonly platform?: { readonly architecture: string }
}

interface Document {
  readonly config?: Descriptor
  readonly layers?: readonly Descriptor[]
  readonly manifests?: readonly Descriptor[]
}

/**
 * Reads everything that a registry says it has, as a client that trusts nothing: every page of
 * the catalog, every tag, every manifest, every blob.
 *
 * @throws when anything is missing, or does not have the digest and the size it is listed with
 */
export async function walk(url: string): Promise<Contents> {
  const contents = new Map<string, string>()
  for await (const repository of pages(url, '/v2/_catalog', 'repositories')) {
    const verified = new Set<string>()
    for await (const tag of pages(url, `/v2/${repository}/tags/list`, 'tags')) {
      const { digest } = await readManifest(`${url}/v2/${repository}`, tag, verified)
      contents.set(`${repository}:${tag}`, digest)
    }
  }
  return contents
}

/** The manifest of a tag or a digest, and what the registry says its digest is. */
export async function getManifest(
  url: string,
  repository: string,
  reference: string,
): Promise<{ digest: string; mediaType: string; document: Document; text: string }> {
  const response = await get(`${url}/v2/${repository}/manifests/${reference}`)
  const text = await response.text()
  return {
    digest: response.headers.get('docker-content-digest') ?? '',
    mediaType: response.headers.get('content-type') ?? '',
    document: JSON.parse(text) as Document,
    text,
  }
}

async function readManifest(
  repositoryUrl: string,
  reference: string,
  verified: Set<string>,
): Promise<{ digest: string }> {
  const response = await get(`${repositoryUrl}/manifests/${reference}`)
  const bytes = Buffer.from(await response.arrayBuffer())
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const claimed = response.headers.get('docker-content-digest')
  if (digest !== claimed) {
    throw new Error(`${repositoryUrl}:${reference} is said to be ${claimed}, and is ${digest}`)
  }
  const { config, layers = [], manifests = [] } = JSON.parse(bytes.toString()) as Document
  for (const child of manifests) {
    const read = await readManifest(repositoryUrl, child.digest, verified)
    if (read.digest !== child.digest) throw new Error(`${child.digest} is ${read.digest}`)
  }
  for (const blob of config === undefined ? layers : [config, ...layers]) {
    if (verified.has(blob.digest)) continue
    await readBlob(repositoryUrl, blob)
    verified.add(blob.digest)
  }
  return { digest }
}

async function readBlob(repositoryUrl: string, { digest, size }: Descriptor): Promise<void> {
  const response = await get(`${repositoryUrl}/blobs/${digest}`)
  const hash = createHash('sha256')
  let receivedBytes = 0
  for await (const piece of response.body ?? []) {
    const bytes = piece as Uint8Array
    hash.update(bytes)
    receivedBytes += bytes.byteLength
  }
  const actual = `sha256:${hash.digest('hex')}`
  if (actual !== digest || receivedBytes !== size) {
    throw new Error(
      `blob ${digest} of ${size} bytes in ${repositoryUrl} is ${actual} of ${receivedBytes} bytes`,
    )
  }
}

async function* pages(url: string, first: string, member: string): AsyncGenerator<string> {
  let next: string | undefined = first
  while (next !== undefined) {
    const response: Response = await get(`${url}${next}`)
    const page = (await response.json()) as Record<string, string[]>
    yield* page[member] ?? []
    next = /^<([^>]+)>/.exec(response.headers.get('link') ?? '')?.[1]
  }
}

async function get(url: string): Promise<Response> {
  const response = await fetch(url, { signal: AbortSignal.timeout(60_000) })
  if (!response.ok)
    throw new Error(`GET ${url} answers ${response.status}: ${await response.text()}`)
  return response
}
