import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** A folder with a path short enough for the sockets in it; whoever makes it removes it. */
export function makeDirectory(): Promise<string> {
  return mkdtemp(path.join(tmpdir(), 'berth-'))
}

export async function removeDirectory(directory: string): Promise<void> {
  // Daemons may still be closing files when their process is gone.
  await rm(directory, { recursive: true, force: true, maxRetries: 5 })
}
