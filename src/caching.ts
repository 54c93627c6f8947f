/**
 * What caches may do with an answer (`Cache-Control`), those of proxies too, which serve whoever asks next.
 *
 * @see RFC 9111, section 5.2.2
 */

/** Content that its digest names never changes. */
export const FOREVER = 'private, max-age=31536000, immutable'

/** What changes, and may be another one for everybody: a cache between has to ask each time. */
export const ASK_AGAIN = 'no-cache'

/** Secrets, and whatever is about one moment and one caller. */
export const KEPT_NOWHERE = 'no-store'
