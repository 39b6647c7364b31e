// Builds static/datafly.js from static/src: esbuild bundles, terser makes it small; beside it .gz and .br, as served.
//
//   node static/build.mjs                  build in place
//   node static/build.mjs --out FILE       build elsewhere
//   node static/build.mjs --check FILE     build nothing, compare FILE with what would be built
//   --limit BYTES                          another size limit (after gzip, level 9)
//
// Exit 1 when the script is over the limit, or FILE, or what its .gz or .br holds, differs; the same source gives the
// same script. Prints how much of the bundle each module is, before it is made small.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// What goes first when bytes run out.
const OPTIONAL = ['ENGAGEMENT', 'OUTBOUND', 'SEARCH', 'SHOPIFY_META'];

const bundle = async (version, left_out) => {
  const switches = Object.fromEntries(OPTIONAL.map((name) => [name, String(!left_out.includes(name))]));
  const result = await build({
    absWorkingDir: here('.'),
    entryPoints: ['src/index.js'],
    bundle: true,
    format: 'iife',
    target: 'es2020',
    charset: 'utf8',
    legalComments: 'none',
    minifySyntax: true,
    define: { VERSION: JSON.stringify(version), ...switches },
    metafile: true,
    write: false,
  });
  const [output] = Object.values(result.metafile.outputs);
  const bytes = Object.entries(output.inputs).map(([file, { bytesInOutput }]) => [file.slice(4), bytesInOutput]);
  return { text: result.outputFiles[0].text, modules: bytes.sort((a, b) => b[1] - a[1]) };
};

const shrink = async (text) => {
  const result = await minify(text, {
    ecma: 2020,
    compress: { passes: 5, ecma: 2020, unsafe_arrows: true, inline: 1, lhs_constants: false },
    mangle: true,
    format: { comments: false, ecma: 2020 },
  });
  return result.code + '\n';
};

const fail = (message) => {
  console.error(message);
  process.exit(1);
};

const { values } = parseArgs({
  options: { out: { type: 'string' }, check: { type: 'string' }, limit: { type: 'string', default: '5200' } },
});
const { version } = JSON.parse(readFileSync(here('../package.json'), 'utf8'));
const limit_bytes = Number(values.limit);
const left_out = [];

const make = async () => {
  const { text, modules } = await bundle(version, left_out);
  const script = await shrink(text);
  return { script, modules, gzip_bytes: gzipSync(script, { level: 9 }).length };
};

let made = await make();
while (made.gzip_bytes > limit_bytes && left_out.length < OPTIONAL.length) {
  left_out.push(OPTIONAL[left_out.length]);
  made = await make();
}
const { script, modules, gzip_bytes } = made;

for (const [file, bytes] of modules) console.log(String(bytes).padStart(7), file);
if (left_out.length) console.log(`left out to stay within the limit: ${left_out.join(', ').toLowerCase()}`);
console.log(`datafly.js ${version}: ${Buffer.byteLength(script)} bytes, ${gzip_bytes} gzipped (limit ${limit_bytes})`);
if (!(gzip_bytes <= limit_bytes)) fail(`datafly.js: ${gzip_bytes} bytes gzipped, over the limit of ${limit_bytes}; nothing written`);
const asServed = (file) => [
  [file, String],
  [`${file}.gz`, gunzipSync],
  [`${file}.br`, brotliDecompressSync],
];

if (values.check === undefined) {
  const file = values.out ?? here('datafly.js');
  writeFileSync(file, script);
  writeFileSync(`${file}.gz`, gzipSync(script, { level: 9 }));
  writeFileSync(`${file}.br`, brotliCompressSync(script));
} else {
  for (const [file, unpacked] of asServed(values.check)) {
    if (unpacked(readFileSync(file)).toString() !== script) fail(`${file} is not what static/src gives; run: node static/build.mjs`);
  }
}
