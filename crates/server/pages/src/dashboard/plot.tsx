import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { theme } from '../shared/theme';
import { kept, type Sample } from './history';
import { histories } from './store';

interface PlotProps {
  streamKey: string;
  title: string;
  value: (sample: Sample) => number | null;
  format: (value: number) => string;
  /** The custom property that has the colour. */
  color: string;
}

/** The last minutes of one figure of a stream. */
export function Plot({ streamKey, title, value, format, color }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let plot: uPlot | undefined;
    // Colours are drawn into the canvas, so another theme needs another plot.
    const redraw = () => {
      plot?.destroy();
      plot = new uPlot(options(element, title, format, color), data(streamKey, value), element);
    };
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', redraw);
    const endTheme = effect(() => void (theme.value, redraw()));
    const endData = effect(() => void (histories.value, plot?.setData(data(streamKey, value))));
    const observer = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      scheme.removeEventListener('change', redraw);
      endTheme();
      endData();
      observer.disconnect();
      plot?.destroy();
    };
  }, [streamKey]);
  const last = histories.value.get(streamKey)?.at(-1);
  const now = last ? value(last) : null;
  return (
    <figure class="card plot">
      <figcaption>
        {title} <span class="number">{now === null ? '–' : format(now)}</span>
      </figcaption>
      <div ref={box} aria-hidden="true" />
    </figure>
  );
}

const height = 150;

function data(streamKey: string, value: (sample: Sample) => number | null): uPlot.AlignedData {
  const samples = histories.peek().get(streamKey) ?? [];
  return [samples.map((sample) => sample.at), samples.map(value)];
}

function options(element: Element, title: string, format: (value: number) => string, color: string): uPlot.Options {
  const style = getComputedStyle(element);
  const [line, muted, border] = [color, '--muted', '--border'].map((name) => colorOf(element, name));
  const axis = { stroke: muted!, font: `11px ${style.fontFamily}`, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 0, 0, 0],
    scales: {
      x: { range: (_, first) => window(first) },
      y: { range: (_, __, most) => [0, (most || 1) * 1.15] },
    },
    axes: [
      { ...axis, size: 22, gap: 4, grid: { show: false }, space: 80, values: (_, times) => times.map(timeOf) },
      {
        ...axis,
        size: 68,
        gap: 6,
        space: 36,
        grid: { stroke: border!, width: 1 },
        values: (_, values) => values.map((tick) => (tick === 0 ? '0' : format(tick))),
      },
    ],
    series: [{}, { label: title, stroke: line!, width: 1.75, fill: `${line}22`, points: { show: false } }],
  };
}

/** Seconds that a plot shows at least. */
const shownAtLeast = 60;

/** The time that is shown: up to now, and no further back than there is something. */
function window(first: number | null): [number, number] {
  const now = Date.now() / 1000;
  return [Math.max(now - kept, Math.min(first ?? now, now - shownAtLeast)), now];
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** The colour that a custom property has now, as `#rrggbb`: a canvas knows no custom properties and no `light-dark`. */
function colorOf(element: Element, property: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${property})`;
  element.append(probe);
  const channels = getComputedStyle(probe).color.match(/\d+/g) ?? [];
  probe.remove();
  return `#${channels.slice(0, 3).map((channel) => Number(channel).toString(16).padStart(2, '0')).join('')}`;
}
