/** Where in the dashboard we are: the part of the address behind `#`. */

import { signal } from '@preact/signals';

export type Route =
  | { view: 'streams' }
  | { view: 'stream'; key: string }
  | { view: 'publish'; key: string }
  | { view: 'clients' }
  | { view: 'recordings' }
  | { view: 'relays' }
  | { view: 'activity' };

export type View = Route['view'];

/** Understands a hash; what it does not know leads to the streams. */
export function parse(hash: string): Route {
  const [view, ...rest] = hash.replace(/^#?\/?/, '').split('/');
  const key = rest.map(decode).join('/');
  switch (view) {
    case 'streams':
      return key ? { view: 'stream', key } : { view: 'streams' };
    case 'publish':
      return { view, key };
    case 'clients':
    case 'recordings':
    case 'relays':
    case 'activity':
      return { view };
    default:
      return { view: 'streams' };
  }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The address of a stream's page in the dashboard. */
export function streamHref(key: string): string {
  return `#/streams/${key}`;
}

/** The address of a stream's player. */
export function playerHref(key: string): string {
  return `/${key}`;
}

/** The address of a recording's player: with the ending of its file it would be the file. */
export function replayHref(id: string): string {
  return `/vod/${encodeURIComponent(id.replace(/\.(flv|mp4)$/, ''))}`;
}

export const route = signal<Route>({ view: 'streams' });

/** Follows the address from now on. */
export function followAddress(): void {
  const update = () => (route.value = parse(location.hash));
  addEventListener('hashchange', update);
  update();
}
