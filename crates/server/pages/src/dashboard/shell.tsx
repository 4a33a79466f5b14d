import type { ComponentChildren } from 'preact';
import { access, hasToken, setToken } from '../api/client';
import { span } from '../shared/format';
import { Icon, type IconName } from '../shared/icons';
import { nextTheme, theme, type Theme } from '../shared/theme';
import logo from '../shared/icon.svg';
import { AccessNotice } from './access';
import { route, type View } from './route';
import { serverInfo } from './store';

const places: { view: View; name: string; icon: IconName }[] = [
  { view: 'streams', name: 'Streams', icon: 'signal' },
  { view: 'clients', name: 'Clients', icon: 'clients' },
  { view: 'recordings', name: 'Recordings', icon: 'film' },
  { view: 'relays', name: 'Relays', icon: 'relay' },
  { view: 'activity', name: 'Activity', icon: 'activity' },
];

/** What surrounds every view. */
export function Shell({ children }: { children: ComponentChildren }) {
  const here = route.value.view === 'stream' ? 'streams' : route.value.view;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header class="bar">
        <a class="brand" href="#/streams">
          <img src={logo} alt="" width="26" height="26" /> Flumen
        </a>
        <nav aria-label="Views">
          {places.map(({ view, name, icon }) => (
            <a key={view} href={`#/${view}`} aria-current={view === here ? 'page' : undefined}>
              <Icon name={icon} />
              {name}
            </a>
          ))}
        </nav>
        <div class="tools">
          <Connection />
          <ThemeButton />
          {hasToken.value && (
            <button type="button" class="button quiet" onClick={() => setToken(null)} title="Forget the API token">
              Sign out
            </button>
          )}
          <a class="button primary" href="#/publish" aria-current={here === 'publish' ? 'page' : undefined}>
            <Icon name="publish" /> Publish
          </a>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <AccessNotice>{children}</AccessNotice>
      </main>
      <Foot />
    </>
  );
}

function Foot() {
  const server = serverInfo.value;
  return (
    <footer class="foot">
      {server && (
        <>
          <span>
            Flumen {server.version} <span class="mono">{server.commit}</span>
          </span>
          <span>running for {span(server.uptime)}</span>
        </>
      )}
      <a href="/api/docs">API</a>
    </footer>
  );
}

/** The address is taken by the views, so a plain link would leave the one that is shown. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function Connection() {
  const isAway = access.value.kind === 'away';
  return (
    <span class={isAway ? 'connection away' : 'connection'} role="status">
      {isAway ? 'No connection' : <span class="visually-hidden">Connected</span>}
    </span>
  );
}

const themes: Record<Theme, { icon: IconName; name: string }> = {
  system: { icon: 'system', name: 'as the system' },
  light: { icon: 'sun', name: 'light' },
  dark: { icon: 'moon', name: 'dark' },
};

function ThemeButton() {
  const { icon, name } = themes[theme.value];
  return (
    <button
      type="button"
      class="button quiet"
      aria-label={`Theme: ${name}`}
      title={`Theme: ${name}`}
      onClick={() => (theme.value = nextTheme(theme.value))}
    >
      <Icon name={icon} />
    </button>
  );
}
