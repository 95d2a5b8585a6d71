/** How a device says no: `Status` Error with an ErrorChain whose first item is the top error (facts 3). */
import type { PlistDict } from './plist.ts';

/** Codes are diagnostic and unstable; these are in the domains that real devices use. */
export interface Reason {
  readonly code: number;
  readonly domain: string;
  readonly text: string;
}

export function errorChain(...reasons: readonly Reason[]): PlistDict[] {
  return reasons.map(({ code, domain, text }) => ({
    ErrorCode: code,
    ErrorDomain: domain,
    LocalizedDescription: text,
    USEnglishDescription: text,
  }));
}

export function refusal(code: number, domain: string, text: string, ...causes: readonly Reason[]): PlistDict {
  return { Status: 'Error', ErrorChain: errorChain({ code, domain, text }, ...causes) };
}

export function unknownCommand(requestType: string): PlistDict {
  return refusal(12021, 'MCMDMErrorDomain', `“${requestType}” is not a valid request type.`);
}
