import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'

/** Smaller ones are left: they take longer to find than they are worth. */
const largeBytesMin = 512 * 1024

/**
 * Takes the bytes from below a server that nobody will ask for them again. Folders stay: a server
 * may rely on those it has made.
 */
export function removeLargeFiles(folder) {
  if (!existsSync(folder)) return
  for (const file of filesBelow(folder)) {
    if (lstatSync(file).size >= largeBytesMin) rmSync(file, { force: true })
  }
}

/** What a folder and all below it take of its disk. */
export function diskUsage(folder) {
  let bytes = 0
  let inodes = 0
  for (const entry of [folder, ...entriesBelow(folder)]) {
    // du counts in the same units, whatever the blocks of the file system are.
    bytes += lstatSync(entry).blocks * 512
    inodes++
  }
  return { bytes, inodes }
}

function* entriesBelow(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const name = path.join(folder, entry.name)
    yield name
    if (entry.isDirectory()) yield* entriesBelow(name)
  }
}

function* filesBelow(folder) {
  for (const entry of entriesBelow(folder)) if (lstatSync(entry).isFile()) yield entry
}
