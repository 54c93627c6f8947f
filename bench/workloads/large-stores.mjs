/**
 * The stores that pages, deletes and starts are measured on.
 *
 * @param {import('../options.mjs').Options} options
 */
export function smallStore({ small }) {
  return { repositories: small, tags: small }
}

export function middleStore({ middle }) {
  return { repositories: middle, tags: middle }
}

export function largeStore({ repositories, tags, referrers }) {
  return { repositories, tags, referrers }
}

/** Repositories whose tags are all on one manifest: one for each round. */
export function carrierStore({ rounds, middle }) {
  return { repositories: 1, tags: middle, carriers: rounds }
}

export function sizeText(number) {
  return number.toLocaleString('en')
}
