// @ts-check
import * as echarts from 'echarts';

/** Colours of the light mode; the style below replaces them in dark mode. */
const TEXT = '#111111';
const LINE = '#cccccc';
const OURS = '#2f6fde';
const OTHERS = '#8a94a6';

const STYLE = `<style>
  text { font-family: system-ui, sans-serif }
  @media (prefers-color-scheme: dark) {
    [fill="${TEXT}"] { fill: #e6e6e6 }
    [stroke="${LINE}"] { stroke: #555555 }
    [stroke="${TEXT}"] { stroke: #e6e6e6 }
    [fill="${OURS}"] { fill: #6ea8fe }
  }
</style>`;

const WIDTH = 760;
const ROW = 34;
const TITLE_LINE = 18;
const TITLE_CHARACTERS = 90; // per line

/** The names of rows that are peers or use no library. All other rows are of this library. */
const IS_OTHER =
  /^(bare pg|postgres\.js|pg-listen|@imqueue|nestjs-pg-notify|graphile-worker|pg-boss|TypeORM|Nest and|manager\.query|JSON\.parse|no |nothing|a constant)|handwritten:|by hand:|a connection each$/;

/**
 * Renders a bar for each median, a lighter bar from there to p99 if that is known, and a whisker
 * from the minimum to the maximum.
 * @param {import('./results.js').TableResult} table
 */
export function renderPlot({ title, rows }) {
  const names = rows.map(({ name }) => name);
  const lines = linesOf(title);
  const top = 26 + lines.length * TITLE_LINE;
  const height = top + 46 + rows.length * ROW;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const text = { color: TEXT, fontSize: 12 };
  chart.setOption({
    animation: false,
    title: {
      text: lines.join('\n'),
      textStyle: { ...text, fontSize: 14, lineHeight: TITLE_LINE },
      left: 8,
      top: 8,
    },
    grid: {
      left: 40,
      right: rows.some(({ p99 }) => p99 !== undefined) ? 170 : 110,
      top,
      bottom: 16,
      containLabel: true,
    },
    xAxis: {
      type: 'value',
      axisLabel: { ...text, formatter: short },
      splitLine: { lineStyle: { color: LINE } },
    },
    yAxis: {
      type: 'category',
      inverse: true,
      data: names,
      axisLabel: { ...text, width: 300, overflow: 'break' },
      axisLine: { lineStyle: { color: LINE } },
      axisTick: { show: false },
    },
    series: [
      {
        type: 'bar',
        barMaxWidth: 20,
        data: rows.map(({ name, median }) => ({
          value: median,
          itemStyle: { color: colourOf(name) },
        })),
      },
      {
        type: 'custom',
        renderItem: (/** @type {any} */ item, /** @type {any} */ api) => whisker(api, rows[item.dataIndex]),
        encode: { x: [1, 2, 3, 4], y: 0 },
        data: rows.map(({ min, max, median, p99 = median }, index) => [index, min, max, median, p99]),
      },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${withSteadyClasses(svg).replace('>', `>${STYLE}`)}\n`;
}

/** Replaces the numbers of classes, which count all charts of the process, to get equal files. @param {string} svg */
function withSteadyClasses(svg) {
  const known = new Map();
  return svg.replaceAll(/zr\d+-cls-\d+/g, (name) => {
    if (!known.has(name)) known.set(name, `c${known.size}`);
    return known.get(name);
  });
}

/** @param {string} name */
const colourOf = (name) => (IS_OTHER.test(name) ? OTHERS : OURS);

/** @param {string} text */
function linesOf(text) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length <= TITLE_CHARACTERS) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** @param {any} api @param {import('./measure.js').Row | undefined} row */
function whisker(api, row) {
  const [from, to, middle, p99] = [1, 2, 3, 4].map((dimension) =>
    api.coord([api.value(dimension), api.value(0)]),
  );
  const style = { stroke: TEXT, lineWidth: 1, fill: 'none' };
  const line = (
    /** @type {number} */ x1,
    /** @type {number} */ y1,
    /** @type {number} */ x2,
    /** @type {number} */ y2,
  ) => ({
    type: 'line',
    shape: { x1, y1, x2, y2 },
    style,
  });
  return {
    type: 'group',
    children: [
      {
        type: 'rect',
        shape: { x: middle[0], y: middle[1] - 5, width: p99[0] - middle[0], height: 10 },
        style: { fill: colourOf(row?.name ?? ''), opacity: 0.35 },
      },
      {
        type: 'text',
        style: {
          text: row && labelOf(row),
          x: Math.max(to[0], p99[0]) + 10,
          y: to[1],
          fill: TEXT,
          fontSize: 12,
          verticalAlign: 'middle',
        },
      },
      line(from[0], from[1], to[0], to[1]),
      line(from[0], from[1] - 4, from[0], from[1] + 4),
      line(to[0], to[1] - 4, to[0], to[1] + 4),
    ],
  };
}

/** @param {import('./measure.js').Row} row */
const labelOf = ({ median, ratio, p99 }) =>
  `${short(median)}  (${ratio.toFixed(2)})${p99 === undefined ? '' : `  p99 ${short(p99)}`}`;

/** @param {number} value */
function short(value) {
  if (value >= 1_000_000) return `${Number((value / 1e6).toPrecision(3))}M`;
  return value >= 10_000
    ? `${Math.round(value / 1_000)}k`
    : Number(value.toPrecision(3)).toLocaleString('en');
}
