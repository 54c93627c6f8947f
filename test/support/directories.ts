import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { whenFinished } from './side-by-side.js'

/** An empty folder that is gone when the test is over. */
export async function temporaryDirectory(parent = tmpdir()): Promise<string> {
  const directory = await makeDirectory(parent)
  whenFinished(() => removeDirectory(directory))
  return directory
}

/** An empty folder, for several tests: whoever makes it has to remove it. */
export function makeDirectory(parent = tmpdir()): Promise<string> {
  return mkdtemp(path.join(parent, 'berth-test-'))
}

export function removeDirectory(directory: string): Promise<void> {
  // A server that was closed may still put a file aside.
  return rm(directory, { recursive: true, force: true, maxRetries: 5 })
}
