/**
 * What a browser calls itself, in short: "Firefox · Linux". User agents name what they are compatible with, too, so the
 * narrower names are looked for first. "" where it says nothing that is known.
 */
export function agentName(userAgent: string): string {
  const first = (names: readonly (readonly [string, RegExp])[]) => names.find(([, known]) => known.test(userAgent))?.[0];
  const browser = first([
    ["Edge", /\bEdg(e|A|iOS)?\//],
    ["Opera", /\bOPR\//],
    ["Samsung Internet", /\bSamsungBrowser\//],
    ["Firefox", /\b(Firefox|FxiOS)\//],
    ["Chrome", /\b(Chrome|CriOS|Chromium|HeadlessChrome)\//],
    ["Safari", /\bSafari\//],
  ]);
  const system = first([
    ["Android", /\bAndroid\b/],
    ["iOS", /\b(iPhone|iPad|iPod)\b/],
    ["ChromeOS", /\bCrOS\b/],
    ["Windows", /\bWindows\b/],
    ["macOS", /\bMac OS X\b/],
    ["Linux", /\bLinux\b/],
  ]);
  return [browser, system].filter((name) => name !== undefined).join(" · ");
}
