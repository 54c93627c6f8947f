import type { Answer } from './http-client.js'
import {
  imageOf,
  indexDocumentOf,
  type Document,
  type LedgerClient,
  subjectIs,
} from './ledger-client.js'
import { sha256 } from '../../support/images.js'
import type { Random } from './random.js'

/** One request, or the few of one session. It can be repeated. */
export type Act = (client: LedgerClient) => Promise<Answer>

/**
 * Everything that a client can change, in an order in which all of it succeeds: blobs that become
 * files and blobs that do not, by one request and by sessions, mounts, images, an index, a referrer,
 * tags that move, deletes.
 *
 * @param prefix - of the names of both repositories
 */
export function oneOfEach(prefix: string, random: Random): Act[] {
  const name = `${prefix}/app`
  const other = `${prefix}/other`
  const small = random.bytes(1000)
  const large = random.bytes(150_000)
  const pieces = [random.bytes(40_000), random.bytes(50_000)]
  const smallPieces = [random.bytes(1000), random.bytes(2000)]
  const config = random.bytes(300)
  const image = imageOf(config, [small])
  const largeImage = imageOf(config, [large, Buffer.concat(pieces)])
  const children = [imageOf(config, []), imageOf(config, [Buffer.concat(smallPieces)])]
  const index = indexDocumentOf(children)
  const referrer = imageOf(config, [], subjectIs(image))
  const spare = [random.bytes(500), random.bytes(100_000)]
  const put = (document: Document, tag?: string): Act => {
    return (client) => client.putManifest(name, document, tag)
  }
  return [
    (client) => client.pushBlob(name, config),
    (client) => client.pushBlob(name, small),
    put(image, 'v1'),
    (client) => client.pushBlob(name, large),
    (client) => client.pushPieces(name, pieces),
    put(largeImage, 'latest'),
    (client) => client.pushPieces(name, smallPieces),
    (client) => client.mount(other, sha256(large), name),
    (client) => client.mount(other, sha256(small), name),
    ...children.map((child) => put(child)),
    put(index, 'multi'),
    put(referrer),
    // Tags come, move and go.
    put(largeImage, 'old'),
    put(image, 'latest'),
    (client) => client.deleteTag(name, 'v1'),
    (client) => client.deleteManifest(name, largeImage.digest),
    ...spare.map(
      (bytes): Act =>
        (client) =>
          client.pushBlob(name, bytes),
    ),
    ...spare.map(
      (bytes): Act =>
        (client) =>
          client.deleteBlob(name, sha256(bytes)),
    ),
    async (client) => client.cancelSession(await client.openSession(name, pieces)),
    (client) => client.openSession(name, pieces),
    // The same bytes again, where they are there already and where they were deleted.
    (client) => client.pushBlob(other, large),
    ...spare.map(
      (bytes): Act =>
        (client) =>
          client.pushBlob(name, bytes),
    ),
    put(largeImage, 'again'),
  ]
}
