import { render } from 'preact';
import { applyTheme } from '../shared/theme';
import { Toasts } from '../shared/toast';
import { Activity } from './activity';
import { Clients } from './clients';
import { followEvents } from './events';
import { Publish } from './publish';
import { Recordings } from './recordings';
import { Relays } from './relays';
import { followAddress, route } from './route';
import { Shell } from './shell';
import { followStreams } from './store';
import { StreamPage } from './stream';
import { Streams } from './streams';

function Dashboard() {
  return (
    <Shell>
      <View />
      <Toasts />
    </Shell>
  );
}

function View() {
  const place = route.value;
  switch (place.view) {
    case 'stream':
      return <StreamPage key={place.key} streamKey={place.key} />;
    case 'publish':
      return <Publish key={place.key} streamKey={place.key} />;
    case 'clients':
      return <Clients />;
    case 'recordings':
      return <Recordings />;
    case 'relays':
      return <Relays />;
    case 'activity':
      return <Activity />;
    case 'streams':
      return <Streams />;
  }
}

applyTheme();
followAddress();
followStreams();
void followEvents(new AbortController().signal);
const root = document.getElementById('app');
if (root) render(<Dashboard />, root);
