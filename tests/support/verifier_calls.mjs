// Calls the JavaScript verifier's functions: a JSON list of [name, ...arguments] on standard input,
// a JSON list of results on standard output, a BigInt as {"int": "..."} and bytes as hex.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const verifier = await import(pathToFileURL(process.argv[2]));
const functions = {
  ...verifier,
  score: (fighter, mode, draw) => verifier.scoreAt(verifier.prospects(fighter, mode), Number(draw)),
  draws: (seed, count) => verifier.mulberry32(seed, Number(count)),
  sha256: (text) => verifier.sha256(Buffer.from(text, "hex")),
  hmacSha256: (key, text) =>
    verifier.hmacSha256(Buffer.from(key, "hex"), Buffer.from(text, "hex")),
  rewards: (points, perScore, mode, bonuses, rates, boost) =>
    verifier.reward(points, perScore, mode, verifier.bonusMultiplier(bonuses, rates), boost).at(-1),
  multiplier: (bonuses, rates) => verifier.decimalText(verifier.bonusMultiplier(bonuses, rates)),
  read: (text) => {
    try {
      return kinds(verifier.parseJson(text));
    } catch (reason) {
      if (!(reason instanceof verifier.Refusal)) throw reason;
      return "refused";
    }
  },
};

// Writes a value so that its kind and every bit of it show.
function kinds(value) {
  if (Array.isArray(value)) return value.map(kinds);
  if (value && typeof value === "object") {
    return Object.keys(value).map((key) => [key, kinds(value[key])]);
  }
  if (typeof value === "bigint") return `int ${value}`;
  if (typeof value !== "number") return value;
  return `float ${Buffer.from(new Float64Array([value]).buffer).toString("hex")}`;
}

function written(_key, value) {
  if (typeof value === "bigint") return { int: String(value) };
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}

const calls = verifier.parseJson(readFileSync(0, "utf8"));
const results = calls.map(([name, ...values]) => functions[name](...values));
process.stdout.write(JSON.stringify(results, written));
