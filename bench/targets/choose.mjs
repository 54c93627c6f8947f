import { readFileSync } from 'node:fs'
import { berth, profiledBerth } from './berth.mjs'
import { dockerRegistry } from './docker-registry.mjs'
import { runningTarget } from './running.mjs'

/**
 * The registries of a run, Berth first.
 *
 * @param {import('../options.mjs').Options} options
 * @param {(text: string) => void} say
 * @param {import('../profiles.mjs').Profiles} [profiles] - of Berth, where they are wanted
 * @returns what is measured, and by name what each calls itself
 * @throws {Error} with a sentence for the person who named one
 */
export function chooseTargets(options, say, profiles) {
  const targets = [profiles ? profiledBerth(profiles.nodeOptions) : berth]
  const versions = { berth: `Berth ${ownVersion()}` }
  if (options.peer) {
    const version = dockerRegistry.version()
    if (version === undefined) say('docker-registry is not installed: its figures are left out')
    else {
      targets.push(dockerRegistry)
      versions[dockerRegistry.name] = `docker-registry ${version}`
    }
  }
  for (const text of options.target) {
    const target = runningTarget(text)
    if (versions[target.name] !== undefined) throw new Error(`two targets are named ${target.name}`)
    targets.push(target)
    versions[target.name] = target.name
  }
  return { targets, versions }
}

function ownVersion() {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
