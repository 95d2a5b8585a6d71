/**
 * The numbers of pairing, with their arithmetic (design sections 2, 4 and 7).
 *
 * Whoever can forge MachineInfo (facts 19.11) must not be able to lock a watch out, so the limits that a stranger
 * can use up are counted by source address first:
 * - One address uses up its own 20 challenges an hour and is refused; a watch elsewhere notices nothing.
 * - Three addresses use up the watch's 60 an hour. From then on a network gets its first challenge of the hour
 *   and no second. The watch's own network has had none from the forger, and one challenge is all that a pairing
 *   needs, so the watch still pairs.
 * - An address of IPv6 is a /64, one household; its network is the /48. Whoever is handed a /48 has 65,536 addresses
 *   and could have the first challenge of the hour from each; counted as one network it has none left once its own
 *   three have spent the 60. Counting the 20 by /48 as well would let one subscriber of a mobile network, where each
 *   phone has a /64 of the same /48, refuse the watch of another. For IPv4 the network is the address.
 * - A challenge that a phone has claimed is never evicted. Unclaimed, one survives two later ones, and it lives
 *   unclaimed for the seconds between the watch's request and the phone's `GetToken`. To evict it inside 5 s a
 *   forger must spend 3 of 20 each time: six spoiled attempts an hour for each address it owns, and beyond 60 in
 *   all it needs a fresh network for each single challenge.
 * - A phone holds one claimed challenge of a watch; claiming a newer one ends the older. A forger with one assigned
 *   iPhone thus fills one of the three places, and never all of them.
 * - What remains: a forger who shares the watch's own address (one household, one NAT) shares its 20, and one who
 *   shares its /48 can, by spending all 60, leave it without the first challenge of the hour.
 */
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../std/time.ts';

/** From the 403 to the last moment at which it can be claimed or redeemed; people take a minute or two. */
export const CHALLENGE_LIFE_MS = 10 * MINUTE_MS;
/** Counted from each minting. The challenge must be live as well, so a token never extends it. */
export const TOKEN_LIFE_MS = 10 * MINUTE_MS;
/** How far another issuer's clock may run ahead of ours. */
export const TOKEN_SKEW_MS = MINUTE_MS;
/** A watch that asks again after a lost reply keeps its earlier challenges for a while. */
export const LIVE_CHALLENGES_MAX = 3;

export const COUNTING_WINDOW_MS = HOUR_MS;
export const CHALLENGES_PER_SOURCE_MAX = 20;
export const CHALLENGES_PER_WATCH_MAX = 60;
/**
 * Rows of each counter kept in one object, about 100 bytes each; beyond it the oldest are forgotten early. Of
 * challenges there are 60 in an hour and one for each further network: forgetting early takes 965 networks. Refusals
 * are counted apart, since 342 addresses make that many; forgetting those early costs nothing, because the fresh
 * challenge that they would have withheld is counted as a challenge.
 */
export const COUNTED_REQUESTS_MAX = 1024;
/** Refused tokens from one source that are answered with a fresh challenge; the next is told in words. */
export const REFUSALS_IN_ROW_MAX = 3;

/** A one-time credential lives this long: a redeemed pairing that got no certificate by then never will. */
export const REDEEMED_LIFE_MS = HOUR_MS;

/** Kept in the object; D1 keeps the rest. 20 pairings of 64 entries of 200 bytes are 256 KB. */
export const PAIRINGS_KEPT_MAX = 20;
/** Of those, ended ones that no phone ever claimed: anybody can make them, so they must not push out the rest. */
export const UNCLAIMED_KEPT_MAX = 5;
/**
 * An object that no phone ever claimed a challenge of is whatever UDID a forger wrote: a day after its last entry it
 * deletes itself, with its rows in D1. Until then it is at most 8 pairings.
 */
export const UNCLAIMED_LIFE_MS = DAY_MS;
export const TIMELINE_ENTRIES_MAX = 64;
/** Places for steps that went well for the first time, so that a flood of refusals cannot hide them. */
export const TIMELINE_RESERVED = 8;
export const DETAIL_CHARS_MAX = 120;
