/** What the address of the page asks to be played. */

export interface Place {
  /** `app/name`, or `vod/recording`. */
  key: string;
  /** Whether it is a recording that is finished. */
  isRecording: boolean;
  /** The query for media addresses, with the token in it: `?token=…` or nothing. */
  query: string;
}

/** Where recordings are. */
const recordings = 'vod/';

/** Reads the address: the path is the key, and of the query only the token follows. */
export function placeOf(address: { pathname: string; search: string }): Place {
  const key = decodeURIComponent(address.pathname.replace(/^\/|\/$/g, ''));
  const token = new URLSearchParams(address.search).get('token');
  const query = token ? `?token=${encodeURIComponent(token)}` : '';
  return { key, isRecording: key.startsWith(recordings), query };
}

/** Where HLS players begin. */
export function playlistOf(place: Place): string {
  return `/${place.key}/index.m3u8${place.query}`;
}

/** What the page calls it. */
export function titleOf(place: Place): string {
  return place.isRecording ? place.key.slice(recordings.length) : place.key;
}
