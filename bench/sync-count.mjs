import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { processTree } from './targets/process-usage.mjs'

const calls = ['fsync', 'fdatasync', 'syncfs', 'sync_file_range', 'sync']

/**
 * Counts how often a server has something synced to disk while some work is done, with strace.
 *
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {number} pid
 * @param {() => Promise<unknown>} work
 * @returns {Promise<number>}
 * @throws {Error} when strace is not there, or may not look
 */
export async function countSyncs(workspace, pid, work) {
  const output = workspace.newFile('syncs')
  const processes = processTree(pid).flatMap((id) => ['-p', String(id)])
  const args = ['-f', '-c', '-e', `trace=${calls.join(',')}`, '-o', output, ...processes]
  const strace = workspace.adopt(spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] }))
  await attached(strace)
  await work()
  const exited = once(strace, 'exit')
  strace.kill('SIGINT')
  await exited
  return totalOf(readFileSync(output, 'utf8'))
}

/** Until it says that it has all threads; it says nothing more. */
function attached(strace) {
  return new Promise((resolve, reject) => {
    let said = ''
    strace.stderr.setEncoding('utf8').on('data', (text) => {
      said += text
      if (/attached/.test(said)) resolve()
    })
    strace.once('error', (error) => reject(error))
    strace.once('exit', () => reject(new Error(said.trim())))
  })
}

/**
 * Of strace's table:
 *
 *     % time     seconds  usecs/call     calls    errors syscall
 *     ------ ----------- ----------- --------- --------- ----------------
 *      98.30    0.006011          30       200           fdatasync
 */
function totalOf(table) {
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => calls.includes(fields.at(-1)))
    .reduce((total, fields) => total + Number(fields[3]), 0)
}
