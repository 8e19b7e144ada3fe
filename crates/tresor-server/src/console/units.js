// Figures as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A number with about three digits. */
function short(number) {
  const digits = number >= 100 || Number.isInteger(number) ? 0 : number >= 10 ? 1 : 2;
  return number.toFixed(digits);
}

export const count = (number) => WHOLE.format(number);

export function bytes(number) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (number >= 1024 && place < units.length - 1) {
    number /= 1024;
    place += 1;
  }
  return place === 0 ? `${count(number)} ${number === 1 ? "byte" : "bytes"}` : `${short(number)} ${units[place]}`;
}

/** A short time. */
export function seconds(number) {
  if (number < 0.001) {
    return `${short(number * 1e6)} µs`;
  }
  return number < 1 ? `${short(number * 1000)} ms` : `${short(number)} s`;
}

export const rate = (number) => `${number < 1000 ? short(number) : count(number)} /s`;

export const percent = (part) => `${(part * 100).toFixed(part === 1 || part === 0 ? 0 : 1)} %`;

/** A time that a person waits for: the two largest units of it. */
export function span(milliseconds) {
  const all = Math.max(0, Math.ceil(milliseconds / 1000));
  const parts = [
    [Math.floor(all / 86400), "d"],
    [Math.floor(all / 3600) % 24, "h"],
    [Math.floor(all / 60) % 60, "min"],
    [all % 60, "s"],
  ];
  const first = parts.findIndex(([number]) => number > 0);
  const shown = first === -1 ? [[0, "s"]] : parts.slice(first, first + 2).filter(([number]) => number > 0);
  return shown.map(([number, unit]) => `${count(number)} ${unit}`).join(" ");
}
