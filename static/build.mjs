// Builds static/datafly.js from static/src: esbuild bundles, terser makes it small.
//
//   node static/build.mjs                  build in place
//   node static/build.mjs --out FILE       build elsewhere
//   node static/build.mjs --check FILE     build nothing, compare FILE with what would be built
//   --limit BYTES                          another size limit (after gzip, level 9)
//
// Exit 1 when the script is over the limit or FILE differs; the same source gives the same bytes.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const bundle = async (version) => {
  const result = await build({
    absWorkingDir: here('.'),
    entryPoints: ['src/index.js'],
    bundle: true,
    format: 'iife',
    target: 'es2020',
    charset: 'utf8',
    legalComments: 'none',
    minifySyntax: true,
    define: { VERSION: JSON.stringify(version) },
    write: false,
  });
  return result.outputFiles[0].text;
};

const shrink = async (text) => {
  const result = await minify(text, {
    ecma: 2020,
    compress: { passes: 5, ecma: 2020, unsafe_arrows: true },
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
const script = await shrink(await bundle(version));
const gzip_bytes = gzipSync(script, { level: 9 }).length;
const limit_bytes = Number(values.limit);

console.log(`datafly.js ${version}: ${Buffer.byteLength(script)} bytes, ${gzip_bytes} gzipped (limit ${limit_bytes})`);
if (!(gzip_bytes <= limit_bytes)) fail(`datafly.js: ${gzip_bytes} bytes gzipped, over the limit of ${limit_bytes}; nothing written`);
if (values.check === undefined) {
  writeFileSync(values.out ?? here('datafly.js'), script);
} else if (readFileSync(values.check, 'utf8') !== script) {
  fail(`${values.check} is not what static/src gives; run: node static/build.mjs`);
}
