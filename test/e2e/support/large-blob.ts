import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Berth } from './berth.js'

/** Pushes a blob that nobody holds in memory, one piece again and again; gives its digest. */
export async function pushLarge(
  { url }: Berth,
  piece: Uint8Array,
  pieces: number,
): Promise<string> {
  const hash = createHash('sha256')
  for (let index = 0; index < pieces; index++) hash.update(piece)
  const digest = `sha256:${hash.digest('hex')}`
  const opened = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const pushed = await fetch(`${url}${opened.headers.get('location')}?digest=${digest}`, {
    method: 'PUT',
    body: Readable.toWeb(Readable.from(Array.from({ length: pieces }, () => piece))),
    headers: { 'Content-Length': String(pieces * piece.byteLength) },
    duplex: 'half',
  })
  if (pushed.status !== 201) throw new Error(`the push is answered with ${pushed.status}`)
  return digest
}
