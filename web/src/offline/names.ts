/**
 * What the page and its service worker must agree on: where the browser keeps what. Everything that depends on who is
 * signed in is kept by account, so that what one person may hear is not answered to another.
 */

/** The page's own files, of one build. */
export const shellCache = (build: string): string => `tutti-shell-${build}`;
/** Answers of the API that were seen, for when there is no server. */
export const seenCache = (user: string): string => `tutti-seen-${user}`;
/** Pictures that were seen. */
export const coverCache = (user: string): string => `tutti-covers-${user}`;
/** Albums that somebody wanted to keep: their description, tracks and pictures. */
export const keptCache = (user: string): string => `tutti-kept-${user}`;
/** Holds one answer, under whoPath: the id of the account that is signed in. */
export const whoCache = "tutti-who";
export const whoPath = "who";

/** Marks an answer that comes from the browser's memory because the server could not be reached. */
export const seenHeader = "X-Tutti-Seen";

/** A byte range that was asked for, as offsets into a body: start included, end not. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What a Range header means for a body of size bytes (RFC 9110 §14.1.2 and §14.2): undefined where the whole is to be
 * sent, because it is no single range of bytes; "unsatisfiable" where it lies outside.
 */
export function byteRange(header: string | null, size: number): ByteRange | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "");
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < start) return undefined; // invalid, so it is not heeded
  return start >= size ? "unsatisfiable" : { start, end };
}
