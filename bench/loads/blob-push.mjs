import { expecting } from './connection.mjs'
import { headerIn } from './answer-reader.mjs'

/** Of each PATCH when a client sends a blob in parts. */
const partBytes = 16 * 2 ** 20

/**
 * The ways to push a blob.
 *
 * @type {Readonly<Record<string, (connection, repository, content) => Promise<void>>>}
 */
export const pushBlob = {
  /** POST, a PATCH in chunks of 32 KiB without a length, an empty PUT: docker, and all in Go. */
  async docker(connection, repository, content) {
    const session = await open(connection, repository)
    const headers = `${octets}Transfer-Encoding: chunked\r\n`
    const request = { method: 'PATCH', path: session, headers, body: content.chunks() }
    const patched = await expecting(202, connection.sendBody(request), 'PATCH')
    await close(connection, locationOf(patched) ?? session, content)
  },

  /** POST, then one PUT with everything. */
  async monolithic(connection, repository, content) {
    const session = await open(connection, repository)
    const path = withDigest(session, content)
    const headers = `${octets}Content-Length: ${content.sizeBytes}\r\n`
    const request = { method: 'PUT', path, headers, body: content.pieces() }
    await expecting(201, connection.sendBody(request), 'PUT')
  },

  /** POST, a PATCH for each 16 MiB with its range and its length, an empty PUT. */
  async parts(connection, repository, content) {
    let session = await open(connection, repository)
    for (let at = 0; at < content.sizeBytes; at += partBytes) {
      const end = Math.min(at + partBytes, content.sizeBytes)
      const range = `Content-Range: ${at}-${end - 1}\r\n`
      const headers = `${octets}Content-Length: ${end - at}\r\n${range}`
      const request = { method: 'PATCH', path: session, headers, body: content.pieces(at, end) }
      const patched = await expecting(202, connection.sendBody(request), 'PATCH')
      session = locationOf(patched) ?? session
    }
    await close(connection, session, content)
  },
}

const octets = 'Content-Type: application/octet-stream\r\n'

async function open(connection, repository) {
  const request = { method: 'POST', path: `/v2/${repository}/blobs/uploads/` }
  return locationOf(await expecting(202, connection.send(request), 'POST'))
}

async function close(connection, session, content) {
  const request = { method: 'PUT', path: withDigest(session, content) }
  await expecting(201, connection.send(request), 'PUT')
}

/** Where the upload goes on: a path, whatever the answer says before it. */
function locationOf({ head }) {
  return headerIn(head, 'location')?.replace(/^https?:\/\/[^/]+/, '')
}

/** Registries may keep what they need in the query: it stays. */
function withDigest(session, { digest }) {
  return `${session}${session.includes('?') ? '&' : '?'}digest=${digest}`
}
