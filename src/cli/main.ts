#!/usr/bin/env node
import { requireSupportedNode } from './node-version.js'

// Before anything else is loaded: the native module ends an unsupported Node without a word.
requireSupportedNode()
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `… | head` has read what it wanted: that is no failure.
  if (error.code === 'EPIPE') return
  process.stderr.write(`berth: the output cannot be written: ${error.code ?? error.message}\n`)
  process.exitCode = 1
})
const [{ runCommand }, { processIo }] = await Promise.all([
  import('./commands.js'),
  import('./command-io.js'),
])
const code = await runCommand(process.argv.slice(2), processIo)
process.exitCode ??= code
