// Makes a fresh clone runnable: installs what is missing, builds what is stale. Used by
// `npm start`, `npm test` and `npm run bench`, so that none of them needs a step before it.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

// Its garbage collection could end this process, which goes on as the server: see kept.ts.
const kept = []

const buildStamp = path.join(root, 'dist', '.berth-built')

export function prepare() {
  requireSupportedNode()
  install()
  build()
}

function requireSupportedNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  fail(`Berth needs Node.js 20.19 or newer; this is ${process.versions.node}.`)
}

function install() {
  if (isInstalled()) return
  say('installing dependencies (compiling SQLite can take two minutes)')
  run('npm', ['ci', '--include=dev', '--no-fund', '--no-audit'])
  const problem = nativeModuleProblem()
  if (problem) fail(`better-sqlite3 was installed but does not run: ${problem}`)
}

/** Whether what is installed is what the lock file says, for this very Node.js. */
function isInstalled() {
  const wanted = packagesIn('package-lock.json')
  const there = packagesIn(path.join('node_modules', '.package-lock.json'))
  if (wanted === undefined || there === undefined) return false
  const isComplete = Object.entries(wanted)
    // The first is this project; platform packages are there only where they fit.
    .filter(([name, { optional }]) => name !== '' && !optional)
    .every(([name, { version }]) => there[name]?.version === version)
  return isComplete && nativeModuleProblem() === undefined
}

function packagesIn(file) {
  const text = readIfThere(path.join(root, file))
  return text && JSON.parse(text).packages
}

/** npm reports success for a native module whose install script it was not allowed to run. */
function nativeModuleProblem() {
  try {
    const Database = createRequire(import.meta.url)('better-sqlite3')
    kept.push(new Database(':memory:'))
    return undefined
  } catch (error) {
    return error.message
  }
}

function build() {
  const wanted = fingerprintOfSources()
  if (readIfThere(buildStamp) === wanted) return
  say('building')
  rmSync(path.join(root, 'dist'), { recursive: true, force: true })
  run(process.execPath, [
    path.join('node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
  ])
  writeFileSync(buildStamp, wanted)
}

/** Names, sizes and times rather than contents: a start must not read the whole tree. */
function fingerprintOfSources() {
  const hash = createHash('sha256')
  const files = readdirSync(path.join(root, 'src'), { recursive: true })
    .map((name) => path.join('src', name))
    .concat('tsconfig.json', 'tsconfig.build.json', 'package-lock.json')
    .sort()
  for (const file of files) {
    const { mtimeMs, size } = statSync(path.join(root, file))
    hash.update(`${file} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex')
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** Runs a command and, when it fails, ends this process with its exit code. */
export function run(command, args, options = {}) {
  // npm's own output goes to standard error: standard output belongs to what was asked for.
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', process.stderr, process.stderr],
    ...options,
  })
  if (error) fail(`cannot run ${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

function say(text) {
  process.stderr.write(`berth: ${text}\n`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
