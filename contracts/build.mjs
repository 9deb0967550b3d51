// Compiles the contracts: `node build.mjs` writes the result, `node build.mjs --check` compares it with what is committed.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(here, "../src/aiba_adapters/devnet/data/contracts.json");
const names = ["vault", "jetton-master", "jetton-wallet"];

// The compiler may be installed elsewhere, so that a check leaves no folder here.
const modules = process.env.CONTRACTS_NODE_MODULES ?? join(here, "node_modules");
const load = createRequire(join(resolve(modules), "..", "package.json"));
const { getTolkCompilerVersion, runTolkCompiler } = load("@ton/tolk-js");

async function compile(name) {
  const result = await runTolkCompiler({
    entrypointFileName: `${name}.tolk`,
    fsReadCallback: (path) => readFileSync(join(here, path), "utf8"),
  });
  if (result.status === "error") {
    console.error(result.message);
    process.exit(1);
  }
  if (result.stderr) console.error(result.stderr);
  return { codeHash: result.codeHashHex.toLowerCase(), code: result.codeBoc64 };
}

const built = { compiler: `tolk ${await getTolkCompilerVersion()}`, contracts: {} };
for (const name of names) built.contracts[name] = await compile(name);
const text = `${JSON.stringify(built, null, 2)}\n`;

if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) {
    console.error("the committed code is not what these sources compile to: run node build.mjs");
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
for (const name of names) console.log(built.contracts[name].codeHash, name);
