// Runs manifests in the Impact Framework, by the very steps that its if-run takes, without a process for each. Reads one
// JSON array of manifests a line (as text) and writes one of {sci, carbon} with the aggregated outputs, or {error}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const part = (name) => require(`@grnsft/if/build/${name}`);
const yaml = require("js-yaml");
const { validateManifest } = part("common/util/validations");
const { initialize } = part("if-run/lib/initialize");
const { compute } = part("if-run/lib/compute");
const { aggregate } = part("if-run/lib/aggregate");

console.info = console.debug = console.log = console.warn = () => {}; // they go to the output, which is ours

async function run(text) {
  const { tree, ...context } = validateManifest(yaml.load(text));
  const pluginStorage = await initialize(context);
  const computed = await compute(tree, { context, pluginStorage, observe: false, regroup: false, compute: true, append: false });
  const { sci, carbon } = aggregate(computed, context.aggregation).aggregated;
  return { sci, carbon };
}

for await (const line of createInterface({ input: process.stdin })) {
  const out = [];
  for (const text of JSON.parse(line)) out.push(await run(text).catch((e) => ({ error: String(e) })));
  process.stdout.write(`${JSON.stringify(out)}\n`);
}
