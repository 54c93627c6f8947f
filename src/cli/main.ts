#!/usr/bin/env node
import { requireSupportedNode } from './node-version.js'

// Before anything else is loaded: the native module ends an unsupported Node without a word.
requireSupportedNode()
const { runCommand } = await import('./commands.js')
process.exitCode = await runCommand(process.argv.slice(2))
