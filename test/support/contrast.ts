import type { Page } from 'playwright-core';

export interface Contrast {
  readonly text: string;
  /** The contrast ratio of WCAG: 1 to 21. */
  readonly ratio: number;
}

/**
 * Runs in the browser: the colours of each visible piece of text, and of the background behind it.
 */
const COLOURS = `(() => {
  const isClear = (colour) => colour === 'rgba(0, 0, 0, 0)';
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const { backgroundColor } = getComputedStyle(each);
      if (!isClear(backgroundColor)) return backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  const opacity = (element) => element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
  return Array.from(document.querySelectorAll('body *'))
    .filter((element) => element.checkVisibility())
    .filter(({ childNodes }) => Array.from(childNodes).some((node) => node.nodeType === 3 && node.data.trim()))
    .map((element) => ({ text: element.textContent.trim().slice(0, 40), front: getComputedStyle(element).color, back: behind(element), opacity: opacity(element) }));
})()`;

interface Colours {
  readonly text: string;
  readonly front: string;
  readonly back: string;
  readonly opacity: number;
}

export async function contrastsOf(page: Page): Promise<Contrast[]> {
  const all = await page.evaluate<Colours[]>(COLOURS);
  return all.map(({ text, front, back, opacity }) => ({
    text,
    ratio: ratioOf(mix(rgb(front), rgb(back), opacity), rgb(back)),
  }));
}

type Rgb = readonly number[];

const rgb = (colour: string): Rgb => (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);

const mix = (front: Rgb, back: Rgb, opacity: number): Rgb =>
  front.map((value, index) => value * opacity + (back[index] ?? 0) * (1 - opacity));

function ratioOf(one: Rgb, other: Rgb): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: Rgb): number {
  const [red = 0, green = 0, blue = 0] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
