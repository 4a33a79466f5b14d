import { signal, useSignal } from '@preact/signals';
import { post, remove } from '../api/client';
import type { Relay } from '../api/types';
import { CardForm, Choice } from '../shared/form';
import { bytes, span } from '../shared/format';
import { Icon } from '../shared/icons';
import { attempt, tell } from '../shared/toast';
import { usePoll } from './poll';
import { streamHref } from './route';

const relays = signal<Relay[] | null>(null);

const interval = 2000;

/** Streams from and to other servers. */
export function Relays() {
  usePoll<{ relays: Relay[] }>('/relays', interval, (answer) => (relays.value = answer.relays));
  const all = relays.value;
  return (
    <>
      <div class="heading">
        <h1>Relays</h1>
      </div>
      <div class="columns maker">
        <AddForm />
        <div class="part">
          {all && all.length === 0 && (
            <section class="card fields quiet-card">
              <h2>No relays</h2>
              <p>
                A push sends a stream on to another server, such as YouTube or Twitch. A pull fetches one from another
                server and publishes it here. Relays stay until they are ended, also over a restart of the server.
              </p>
            </section>
          )}
          {all && all.length > 0 && (
            <ul class="card rows">
              {all.map((relay) => (
                <Row key={relay.id} relay={relay} />
              ))}
            </ul>
          )}
        </div>
      </div>
    </>
  );
}

function Row({ relay }: { relay: Relay }) {
  const end = async () => {
    await remove(`/relays/${relay.id}`);
    relays.value = relays.value?.filter(({ id }) => id !== relay.id) ?? null;
  };
  return (
    <li class="relay">
      <span class={`state ${relay.state}`}>{relay.state}</span>
      <div>
        <p>
          <a href={streamHref(relay.streamKey)}>{relay.streamKey}</a>{' '}
          <span class="muted">{relay.direction === 'push' ? 'to' : 'from'}</span>{' '}
          <span class="mono">{relay.url}</span>
        </p>
        <p class="muted">
          for {span((Date.now() - Date.parse(relay.since)) / 1000)} · {bytes(relay.bytes)}
          {relay.onDemand && ' · on demand'}
          {relay.origin === 'settings' && ' · from the settings'}
          {relay.failures > 0 && ` · ${relay.failures} failures`}
        </p>
        {relay.lastError && relay.state !== 'running' && <p class="problem">{relay.lastError}</p>}
      </div>
      {relay.origin === 'api' && (
        <button
          type="button"
          class="button small danger"
          aria-label={`End relay ${relay.id}`}
          onClick={() => void attempt(end, 'The relay was ended')}
        >
          End
        </button>
      )}
    </li>
  );
}

type Direction = Relay['direction'];

const directions: [Direction, string][] = [
  ['push', 'Push to'],
  ['pull', 'Pull from'],
];

const add = <><Icon name="plus" /> Add</>;

function AddForm() {
  const direction = useSignal<Direction>('push');
  const send = async (fields: FormData, form: HTMLFormElement) => {
    const relay = await post<Relay>('/relays', {
      direction: direction.value,
      streamKey: String(fields.get('streamKey')).trim(),
      url: String(fields.get('url')).trim(),
      onDemand: fields.get('onDemand') !== null,
    });
    relays.value = [...(relays.value ?? []), relay];
    form.reset();
    tell('The relay begins');
  };
  return (
    <CardForm send={send} button={add}>
      <Choice legend="A new relay" options={directions} value={direction} />
      <label>
        Stream here
        <input name="streamKey" required placeholder="live/show" autocomplete="off" autocapitalize="off" spellcheck={false} />
      </label>
      <label>
        Address there
        <input
          name="url"
          required
          placeholder="rtmps://a.rtmps.youtube.com/live2/your-key"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
        />
        <small class="muted">Keys and passwords in it are never shown again.</small>
      </label>
      {direction.value === 'pull' && (
        <label class="check">
          <input type="checkbox" name="onDemand" /> Only while somebody watches
        </label>
      )}
    </CardForm>
  );
}
