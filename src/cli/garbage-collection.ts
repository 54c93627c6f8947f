import { setFlagsFromString } from 'node:v8'

/**
 * Has garbage collected in one go, and not marked beforehand bit by bit.
 *
 * V8 counts the pieces that requests arrive in as if they would stay, and so begins to mark the
 * whole heap again after every 20 MiB of an upload: half of an upload's CPU, in four threads more.
 * The pieces die long before, by the cheap collections of young objects, which this leaves alone.
 * What it costs is a pause that follows the size of the heap when that really grows: a few
 * milliseconds for the ten or twenty megabytes that Berth needs.
 */
export function markInOneGo(): void {
  setFlagsFromString('--no-incremental-marking')
}
