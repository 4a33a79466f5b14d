/** Ways to the player. Where viewers need a token, the operator gets one by the way. */

import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { post } from '../api/client';
import type { Token } from '../api/types';
import { sentence, tell } from '../shared/toast';
import { serverInfo } from './store';

/** Seconds that a token for the operator's own watching is good. */
const expiry = 4 * 3600;

/** The address of a player with a token for `key` if one is needed. */
async function withToken(href: string, key: string): Promise<string> {
  if (serverInfo.peek()?.playAuth !== 'token') return href;
  const { token } = await post<Token>('/publish', { streamKey: key, action: 'play', expiresIn: expiry });
  return `${href}?token=${token}`;
}

interface WatchProps {
  href: string;
  streamKey: string;
  class: string;
  label?: string;
  children: ComponentChildren;
}

/** A link that opens a player in another tab. */
export function Watch({ href, streamKey, label, children, ...rest }: WatchProps) {
  const onClick = async (event: MouseEvent) => {
    if (serverInfo.value?.playAuth !== 'token') return;
    event.preventDefault();
    // Browsers let a tab be opened only at once, so it waits for its address.
    const tab = open('about:blank', '_blank');
    try {
      const address = await withToken(href, streamKey);
      if (tab) tab.location.href = address;
    } catch (error) {
      tab?.close();
      tell(sentence(error), true);
    }
  };
  return (
    <a {...rest} href={href} target="_blank" rel="noopener" aria-label={label} onClick={(event) => void onClick(event)}>
      {children}
    </a>
  );
}

/** A player inside the page. */
export function EmbeddedPlayer({ href, streamKey, title }: { href: string; streamKey: string; title: string }) {
  useEffect(() => {
    source.value = null;
    withToken(href, streamKey).then(
      (address) => (source.value = address),
      (error: unknown) => tell(sentence(error), true),
    );
  }, [href]);
  if (source.value === null) return <div class="replay" />;
  return <iframe class="replay" src={source.value} title={title} allow="autoplay; fullscreen; picture-in-picture" />;
}

/** Only one is ever shown. */
const source = signal<string | null>(null);
