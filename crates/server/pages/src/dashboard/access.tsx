import type { ComponentChildren } from 'preact';
import { access, setToken } from '../api/client';
import { Icon } from '../shared/icons';

/** The view, or why it can show nothing. */
export function AccessNotice({ children }: { children: ComponentChildren }) {
  const now = access.value;
  if (now.kind === 'locked') return <SignIn wrongToken={now.wrongToken} />;
  if (now.kind === 'forbidden') return <Forbidden reason={now.reason} />;
  return <>{children}</>;
}

function SignIn({ wrongToken }: { wrongToken: boolean }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get('token');
    if (typeof token === 'string' && token.trim()) setToken(token.trim());
  };
  return (
    <form class="card notice" onSubmit={submit}>
      <h1>
        <Icon name="key" /> This server wants its API token
      </h1>
      <p>
        It is the setting <code>api.token</code>. The browser keeps it until this tab is closed.
      </p>
      {wrongToken && (
        <p class="problem" role="alert">
          This is not the token of the server.
        </p>
      )}
      <label>
        API token
        <input name="token" type="password" autocomplete="off" required autofocus />
      </label>
      <p>
        <button type="submit" class="button primary">
          Continue
        </button>
      </p>
    </form>
  );
}

function Forbidden({ reason }: { reason: string }) {
  return (
    <section class="card notice">
      <h1>
        <Icon name="shield" /> The server shows this only to its own machine
      </h1>
      <p role="alert">It says: {reason}.</p>
      <p>
        Open the dashboard there, at <code>http://localhost:8080</code>, or through an SSH tunnel. To use it from
        elsewhere, set <code>api.token</code>, which this page then asks for:
      </p>
      <pre class="code">
        export FLUMEN_API_TOKEN=$(openssl rand -hex 24){'\n'}
        flumen serve --http-addr 0.0.0.0:8080
      </pre>
      <p>
        <button type="button" class="button" onClick={() => location.reload()}>
          Try again
        </button>
      </p>
    </section>
  );
}
