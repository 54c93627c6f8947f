import type { Ledger } from './ledger.js'
import {
  imageOf,
  indexDocumentOf,
  isDone,
  LedgerClient,
  subjectIs,
  type Document,
} from './ledger-client.js'
import { sha256 } from '../../support/images.js'
import { MIB } from './images.js'
import type { Random } from './random.js'

type Act = (client: LedgerClient, random: Random) => Promise<unknown>

interface Pushed {
  readonly name: string
  readonly document: Document
}

interface PushedBlob {
  readonly name: string
  readonly digest: string
}

const names = ['load/one', 'load/two', 'load/three']
const tags = Array.from({ length: 6 }, (_, index) => `v${index}`)

/** How many of each kind are remembered, to be used again. */
const rememberedMax = 40

/** Everything that clients do to a registry, again and again, in the same few repositories. */
export class Load {
  readonly #ledger: Ledger
  /** Nothing needs them but tags: they may be deleted. */
  readonly #images: Pushed[] = []
  /** An index or a referrer may need them: they stay. */
  readonly #kept: Pushed[] = []
  readonly #layers: PushedBlob[] = []
  /** No manifest ever needs them: they may be deleted. */
  readonly #spare: PushedBlob[] = []

  /** Each thing that clients do, and how often beside the others. */
  readonly #acts: readonly (readonly [weight: number, act: Act])[] = [
    [6, (client, random) => this.#pushImage(client, random, [smallLayer(random)])],
    [4, (client, random) => this.#pushImage(client, random, [fileLayer(random)])],
    [2, (client, random) => this.#pushInPieces(client, random)],
    [2, (client, random) => this.#mount(client, random)],
    [2, (client, random) => this.#pushIndex(client, random)],
    [2, (client, random) => this.#pushReferrer(client, random)],
    [3, (client, random) => this.#moveTag(client, random)],
    [3, (client, random) => client.deleteTag(random.pick(names), random.pick(tags))],
    [2, (client, random) => this.#deleteManifest(client, random)],
    [2, (client, random) => this.#pushSpareBlob(client, random)],
    [2, (client, random) => this.#deleteBlob(client, random)],
    [1, (client, random) => client.openSession(random.pick(names), [fileLayer(random)])],
    [1, (client, random) => this.#cancelSession(client, random)],
  ]

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  client(url: string): LedgerClient {
    return new LedgerClient(url, this.#ledger)
  }

  /** One thing that a client does, of one request or of several. */
  async act(client: LedgerClient, random: Random): Promise<void> {
    const total = this.#acts.reduce((sum, [weight]) => sum + weight, 0)
    let at = random.below(total)
    for (const [weight, act] of this.#acts) {
      if (at < weight) {
        await act(client, random)
        return
      }
      at -= weight
    }
  }

  async #pushImage(
    client: LedgerClient,
    random: Random,
    layers: readonly Buffer[],
    members = {},
  ): Promise<Pushed> {
    const name = random.pick(names)
    const config = random.bytes(200)
    for (const blob of [...layers, config]) await client.pushBlob(name, blob)
    for (const layer of layers) remember(this.#layers, { name, digest: sha256(layer) })
    const pushed = { name, document: imageOf(config, layers, members) }
    await client.putManifest(name, pushed.document, random.pick(tags))
    remember(this.#images, pushed)
    return pushed
  }

  async #pushInPieces(client: LedgerClient, random: Random): Promise<void> {
    const name = random.pick(names)
    const pieces = Array.from({ length: 1 + random.below(4) }, () =>
      random.bytes(1 + random.below(60_000)),
    )
    await client.pushPieces(name, pieces)
    const layer = Buffer.concat(pieces)
    remember(this.#layers, { name, digest: sha256(layer) })
    const config = random.bytes(100)
    await client.pushBlob(name, config)
    await client.putManifest(name, imageOf(config, [layer]), random.pick(tags))
  }

  async #mount(client: LedgerClient, random: Random): Promise<void> {
    const layer = someOf(this.#layers, random)
    if (layer === undefined) return
    const answer = await client.mount(random.pick(names), layer.digest, layer.name)
    if (!isDone(answer)) throw new Error(`a mount is answered with ${answer.status}`)
  }

  async #pushIndex(client: LedgerClient, random: Random): Promise<void> {
    const name = random.pick(names)
    const children: Document[] = []
    for (let count = 0; count < 2; count++) {
      const config = random.bytes(100)
      await client.pushBlob(name, config)
      const child = imageOf(config, [])
      await client.putManifest(name, child)
      children.push(child)
    }
    const index = indexDocumentOf(children)
    await client.putManifest(name, index, random.pick(tags))
    remember(this.#kept, { name, document: index })
  }

  async #pushReferrer(client: LedgerClient, random: Random): Promise<void> {
    const subject = someOf([...this.#kept, ...this.#images], random)
    if (subject === undefined) return
    const { name, document } = subject
    const config = random.bytes(100)
    await client.pushBlob(name, config)
    await client.putManifest(name, imageOf(config, [], subjectIs(document)))
  }

  async #moveTag(client: LedgerClient, random: Random): Promise<void> {
    const image = someOf([...this.#kept, ...this.#images], random)
    if (image) await client.putManifest(image.name, image.document, random.pick(tags))
  }

  async #deleteManifest(client: LedgerClient, random: Random): Promise<void> {
    const image = someOf(this.#images, random)
    if (image) await client.deleteManifest(image.name, image.document.digest)
  }

  async #pushSpareBlob(client: LedgerClient, random: Random): Promise<void> {
    const name = random.pick(names)
    const bytes = random.isTrue(0.5) ? smallLayer(random) : fileLayer(random)
    await client.pushBlob(name, bytes)
    remember(this.#spare, { name, digest: sha256(bytes) })
  }

  async #deleteBlob(client: LedgerClient, random: Random): Promise<void> {
    const blob = someOf(this.#spare, random)
    if (blob) await client.deleteBlob(blob.name, blob.digest)
  }

  async #cancelSession(client: LedgerClient, random: Random): Promise<void> {
    const pieces = [smallLayer(random), fileLayer(random)]
    await client.cancelSession(await client.openSession(random.pick(names), pieces))
  }
}

const smallLayer = (random: Random) => random.bytes(1 + random.below(20_000))

/** Now and then one that takes several writes. */
function fileLayer(random: Random): Buffer {
  return random.bytes(random.isTrue(0.1) ? MIB + random.below(MIB) : 200_000)
}

function someOf<T>(items: readonly T[], random: Random): T | undefined {
  return items.length === 0 ? undefined : random.pick(items)
}

function remember<T>(items: T[], item: T): void {
  items.push(item)
  if (items.length > rememberedMax) items.shift()
}
