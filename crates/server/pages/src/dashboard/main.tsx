import { render } from 'preact';
import { applyTheme } from '../shared/theme';
import { followEvents } from './events';
import { followAddress, route } from './route';
import { Shell } from './shell';
import { followStreams } from './store';
import { Streams } from './streams';

function Dashboard() {
  return (
    <Shell>
      <View />
    </Shell>
  );
}

function View() {
  switch (route.value.view) {
    default:
      return <Streams />;
  }
}

applyTheme();
followAddress();
followStreams();
void followEvents(new AbortController().signal);
const root = document.getElementById('app');
if (root) render(<Dashboard />, root);
