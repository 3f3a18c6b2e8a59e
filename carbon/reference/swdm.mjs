// Asks co2.js, the implementation of the Sustainable Web Design Model by its authors. Reads one JSON array of
// {bytes, dataCenter, network, device, hosting} a line (null for an intensity is the model's own) and writes one of totals.
import { createInterface } from "node:readline";
import { co2 } from "@tgwf/co2";

const model = new co2({ model: "swd", version: 4 });
const grid = (c) => {
  const intensity = {};
  for (const part of ["dataCenter", "network", "device"]) if (c[part] !== null) intensity[part] = c[part];
  return intensity;
};
for await (const line of createInterface({ input: process.stdin })) {
  const out = JSON.parse(line).map((c) => {
    const { co2: total } = model.perByteTrace(c.bytes, false, { gridIntensity: grid(c), greenHostingFactor: c.hosting });
    return total;
  });
  process.stdout.write(`${JSON.stringify(out)}\n`);
}
