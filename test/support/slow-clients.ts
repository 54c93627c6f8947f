import { setTimeout as delay } from 'node:timers/promises'
import type { RawConnection } from './raw-connection.js'
import type { TestServer } from './server.js'

type Served = Pick<TestServer, 'app'>

/** A new upload session: its path. */
export async function openUpload({ app }: Served, name: string): Promise<string> {
  const response = await app.inject({ method: 'POST', url: `/v2/${name}/blobs/uploads/` })
  return String(response.headers.location)
}

export function connectionCount({ app }: Served): Promise<number> {
  return new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count)))
}

/** Appends to an upload in three seconds, with pauses but on the average fast. */
export async function sendInBursts(connection: RawConnection, location: string): Promise<void> {
  const bursts = 300
  const length = bursts * 100
  connection.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
  for (let count = 0; count < bursts; count++) {
    await delay(10)
    connection.write('x'.repeat(100))
  }
}
