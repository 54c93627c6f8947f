/** Ends the process with a sentence when this Node.js cannot run Berth. */
export function requireSupportedNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  process.stderr.write(
    `berth: Node.js 20.19 or newer is needed; this is ${process.versions.node}\n`,
  )
  process.exit(1)
}
