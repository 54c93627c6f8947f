import { ProcessUsage } from './process-usage.mjs'

/**
 * A registry that somebody else has started: measured through its address alone, on whatever it
 * has in its store. What is pushed to it stays there.
 *
 * @param {string} text - `NAME=URL,PID`, as in `zot=http://127.0.0.1:5000,1234`
 * @throws {Error} with a sentence for the person who wrote it
 */
export function runningTarget(text) {
  const [, name, url, pid] = /^([^=]+)=(.+),(\d+)$/.exec(text) ?? []
  const address = name === undefined ? undefined : parseAddress(url)
  if (address === undefined) {
    throw new Error(`--target is NAME=URL,PID, as in zot=http://127.0.0.1:5000,1234; not ${text}`)
  }
  const usage = new ProcessUsage(Number(pid))
  try {
    usage.resetPeak()
  } catch (error) {
    throw new Error(`--target ${name}: process ${pid} cannot be measured: ${error.message}`, {
      cause: error,
    })
  }
  return {
    name,
    isOurs: false,
    start: async () => ({ ...address, pid: Number(pid), usage, stop: async () => undefined }),
  }
}

function parseAddress(text) {
  if (!URL.canParse(text)) return undefined
  const { protocol, hostname, port, pathname } = new URL(text)
  if (protocol !== 'http:' || pathname !== '/') return undefined
  return { host: hostname, port: Number(port || 80) }
}
