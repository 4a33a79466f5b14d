import { render } from 'preact';

function Player() {
  return <h1>{decodeURIComponent(location.pathname.slice(1))}</h1>;
}

const root = document.getElementById('app');
if (root) render(<Player />, root);
