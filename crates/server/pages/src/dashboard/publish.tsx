import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { post } from '../api/client';
import type { Token } from '../api/types';
import { CopyField } from '../shared/copy';
import { CardForm, Choice } from '../shared/form';
import { dateTime } from '../shared/format';
import { Icon } from '../shared/icons';
import { ffmpegCommand, obsSettings, playAddresses } from './addresses';
import { serverInfo } from './store';

type Action = 'publish' | 'play';

/** How long a token is good, in seconds. */
const expiries: [number, string][] = [
  [900, '15 minutes'],
  [3600, '1 hour'],
  [4 * 3600, '4 hours'],
  [12 * 3600, '12 hours'],
  [24 * 3600, '1 day'],
];

const usualExpiry = 3600;

const actions: [Action, ComponentChildren][] = [
  ['publish', <><Icon name="publish" /> Publish</>],
  ['play', <><Icon name="play" /> Watch</>],
];

const makeToken = <><Icon name="key" /> Make a token</>;

interface Made {
  action: Action;
  token: Token;
}

/** Makes tokens, and says how to use them. */
export function Publish({ streamKey }: { streamKey: string }) {
  const made = useSignal<Made | null>(null);
  return (
    <>
      <div class="heading">
        <h1>Publish and share</h1>
      </div>
      <div class="columns maker">
        <Form streamKey={streamKey} onMade={(next) => (made.value = next)} />
        <div class="part" aria-live="polite">
          {made.value ? <Result {...made.value} /> : <Introduction />}
        </div>
      </div>
    </>
  );
}

function Form({ streamKey, onMade }: { streamKey: string; onMade: (made: Made) => void }) {
  const action = useSignal<Action>('publish');
  const hint = useId();
  const send = async (fields: FormData) => {
    const token = await post<Token>('/publish', {
      streamKey: String(fields.get('streamKey')).trim(),
      expiresIn: Number(fields.get('expiresIn')),
      singleUse: fields.get('singleUse') !== null,
      action: action.value,
    });
    onMade({ action: action.value, token });
  };
  return (
    <CardForm send={send} button={makeToken}>
      <Choice legend="I want to let somebody" options={actions} value={action} />
      <label>
        Stream
        <input
          name="streamKey"
          required
          defaultValue={streamKey || 'live/show'}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-describedby={hint}
        />
        <small class="muted" id={hint}>
          <code>app/name</code>; a bare name is in <code>live</code>, and <code>live/*</code> means every stream there.
        </small>
      </label>
      <label>
        Good for
        <select name="expiresIn">
          {expiries.map(([seconds, name]) => (
            <option key={seconds} value={seconds} selected={seconds === usualExpiry}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label class="check">
        <input type="checkbox" name="singleUse" /> For one time only
      </label>
    </CardForm>
  );
}

function Introduction() {
  const server = serverInfo.value;
  const open = server ? { publish: server.publishAuth === 'open', play: server.playAuth === 'open' } : null;
  return (
    <section class="card fields quiet-card">
      <h2>What OBS needs</h2>
      <p>
        A server and a stream key. Make a token, and both stand here, ready to paste into OBS under{' '}
        <em>Settings → Stream → Service: Custom</em>.
      </p>
      {open?.publish && (
        <p class="hint">
          This server lets everybody publish who can reach it (<code>auth.publish = "open"</code>); tokens matter once
          that is <code>"token"</code>.
        </p>
      )}
    </section>
  );
}

function Result({ action, token }: Made) {
  return (
    <>
      {action === 'publish' ? <PublishResult token={token} /> : <PlayResult token={token} />}
      <p class="muted">
        For <strong>{token.streamKey}</strong>, good until {dateTime(token.expiresAt)}. Whoever has it may use it: show
        it to nobody else.
      </p>
    </>
  );
}

function PublishResult({ token }: { token: Token }) {
  const obs = token.publishUrl ? obsSettings(token.publishUrl) : null;
  if (!token.publishUrl || !obs) {
    return (
      <section class="card fields">
        <h2>Token</h2>
        <p>It goes behind the name of the stream, as in name?token=…</p>
        <CopyField label="Token" value={token.token} secret />
      </section>
    );
  }
  return (
    <>
      <section class="card fields">
        <h2>OBS</h2>
        <p class="muted">Settings → Stream → Service: Custom</p>
        <CopyField label="Server" value={obs.server} />
        <CopyField label="Stream key" value={obs.streamKey} secret />
      </section>
      <section class="card fields">
        <h2>FFmpeg and others</h2>
        <CopyField label="Address" value={token.publishUrl} secret />
        <CopyField label="FFmpeg" value={ffmpegCommand(token.publishUrl)} secret />
      </section>
    </>
  );
}

function PlayResult({ token }: { token: Token }) {
  const isOne = !token.streamKey.includes('*');
  return (
    <section class="card fields">
      <h2>Watch</h2>
      {isOne ? (
        playAddresses(location.origin, token.streamKey, token.publishUrl ?? null, token.token).map(({ label, url }) => (
          <CopyField key={label} label={label} value={url} secret />
        ))
      ) : (
        <CopyField label="Token" value={token.token} secret />
      )}
    </section>
  );
}
