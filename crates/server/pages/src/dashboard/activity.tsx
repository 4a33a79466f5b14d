import { signal, useSignal } from '@preact/signals';
import type { Refusal, ServerEvent } from '../api/types';
import { bytes, clock, timeOfDay } from '../shared/format';
import { events } from './events';
import { usePoll } from './poll';
import { streamHref } from './route';
import { protocolName } from './stream-parts';

const refusals = signal<Refusal[]>([]);

const interval = 4000;

/** Which events a choice shows, by the beginning of their type. */
const kinds = ['all', 'stream', 'viewer', 'client', 'recording'] as const;

/** What happens, and who was refused. */
export function Activity() {
  const kind = useSignal<(typeof kinds)[number]>('all');
  usePoll<{ refusals: Refusal[] }>('/refusals', interval, (answer) => (refusals.value = answer.refusals));
  const shown = events.value.filter(({ type }) => kind.value === 'all' || type.startsWith(kind.value));
  return (
    <>
      <div class="heading">
        <h1>Activity</h1>
      </div>
      <div class="columns">
        <section class="part" aria-labelledby="events-heading">
          <div class="heading">
            <h2 id="events-heading">Events</h2>
            <fieldset class="chips">
              <legend class="visually-hidden">Show</legend>
              {kinds.map((name) => (
                <label key={name}>
                  <input type="radio" name="kind" checked={kind.value === name} onChange={() => (kind.value = name)} />
                  <span>{name}</span>
                </label>
              ))}
            </fieldset>
          </div>
          {shown.length === 0 ? (
            <p class="card nothing">What happens from now on shows up here.</p>
          ) : (
            <ol class="card rows feed" aria-live="off" tabIndex={0} aria-label="Events, the newest first">
              {shown.map((event) => (
                <EventRow key={`${event.id} ${event.time}`} event={event} />
              ))}
            </ol>
          )}
        </section>
        <section class="part" aria-labelledby="refusals-heading">
          <div class="heading">
            <h2 id="refusals-heading">Refused</h2>
          </div>
          {refusals.value.length === 0 ? (
            <p class="card nothing">Nobody was refused since the server was started.</p>
          ) : (
            <ol class="card rows feed" tabIndex={0} aria-label="Refusals, the newest first">
              {refusals.value.map((refusal) => (
                <RefusalRow key={`${refusal.time} ${refusal.remote} ${refusal.streamKey}`} refusal={refusal} />
              ))}
            </ol>
          )}
        </section>
      </div>
    </>
  );
}

function EventRow({ event }: { event: ServerEvent }) {
  return (
    <li>
      <time class="number muted" dateTime={event.time}>
        {timeOfDay(event.time)}
      </time>
      <span class={`kind ${event.type.replace('.', ' ')}`}>{event.type}</span>
      <span class="what">
        {event.streamKey && <a href={streamHref(event.streamKey)}>{event.streamKey}</a>} <span class="muted">{about(event)}</span>
      </span>
    </li>
  );
}

/** What an event tells besides its stream. */
export function about(event: ServerEvent): string {
  const parts = [
    event.protocol && protocolName(event.protocol),
    event.client && `client ${event.client}`,
    event.remote,
    event.recording,
    event.durationMs !== undefined && clock(event.durationMs / 1000),
    event.bytes !== undefined && bytes(event.bytes),
    event.reason,
  ];
  return parts.filter(Boolean).join(' · ');
}

function RefusalRow({ refusal }: { refusal: Refusal }) {
  return (
    <li>
      <time class="number muted" dateTime={refusal.time}>
        {timeOfDay(refusal.time)}
      </time>
      <span class="kind failed">{refusal.action}</span>
      <span class="what">
        {refusal.streamKey ?? 'a secret name'}{' '}
        <span class="muted">
          {protocolName(refusal.protocol)} · <span class="mono">{refusal.remote}</span> · {refusal.reason}
          {refusal.count > 1 && ` · ${refusal.count} times`}
        </span>
      </span>
    </li>
  );
}
