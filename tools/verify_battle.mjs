#!/usr/bin/env node
/**
 * Verify AIBA Arena battles without AIBA Arena: one file, no dependencies, Node 18.3 or newer.
 *
 *     node verify_battle.mjs --receipt battle.json [--secret TEXT | --fairness fairness.json]
 *
 * It takes the options of verify_battle.py, prints the same lines and ends with the same exit codes;
 * neither was made from the other, and neither shares code with the service. The page for browsers
 * is built from this file.
 *
 * JSON is read without loss: a whole number is a BigInt, a number with a fraction or an exponent is
 * a double, and an object that names a key twice is refused. Money and exact factors are BigInt;
 * only the score is computed in doubles, in the written order of operations.
 */

const U32 = 4294967296;
const LARGEST = 2n ** 63n - 1n;
const MOST_DIGITS = 4300;
const DEEPEST = 500;
const ARENA_WEIGHTS = {
  __proto__: null,
  prediction: [0.7, 0.2, 0.1],
  simulation: [0.5, 0.3, 0.2],
  strategyWars: [0.6, 0.1, 0.3],
  guildWars: [0.4, 0.3, 0.3],
};
const LEAGUE_MULTIPLIERS = { __proto__: null, pro: 1.1, elite: 1.2 };
const EMISSIONS = ["granted", "outside_window", "cap_exceeded", "nothing"];

/** What can't be checked, and why; the message is for people. */
export class Refusal extends Error {}

// ---- Hashes. WebCrypto is missing where a page is served without TLS, so they are computed here.

const ROUNDS = roundConstants(64, (root) => Math.cbrt(root));
const START = roundConstants(8, (root) => Math.sqrt(root));

/** Return 32 bits after the point of a root of each of the first primes, exactly. */
function roundConstants(count, root) {
  const power = root(27) === 3 ? 3n : 2n;
  const found = [];
  for (let candidate = 2; found.length < count; candidate += 1) {
    let isPrime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor += 1) {
      isPrime = isPrime && candidate % divisor !== 0;
    }
    if (!isPrime) continue;
    // The double is near the root times 2^32; integers make it exact.
    const goal = BigInt(candidate) << (32n * power);
    let scaled = BigInt(Math.floor(root(candidate) * U32));
    while (scaled ** power > goal) scaled -= 1n;
    while ((scaled + 1n) ** power <= goal) scaled += 1n;
    found.push(Number(BigInt.asUintN(32, scaled)));
  }
  return Uint32Array.from(found);
}

/** Return the 32 bytes of SHA-256 (FIPS 180-4). */
export function sha256(bytes) {
  const padded = new Uint8Array(((bytes.length + 8) >> 6 << 6) + 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 0x20000000));
  view.setUint32(padded.length - 4, bytes.length << 3);
  const state = Uint32Array.from(START);
  const words = new Uint32Array(64);
  for (let offset = 0; offset < padded.length; offset += 64) compress(state, words, view, offset);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setUint32(index * 4, word));
  return new Uint8Array(digest.buffer);
}

function compress(state, words, view, offset) {
  for (let t = 0; t < 16; t += 1) words[t] = view.getUint32(offset + t * 4);
  for (let t = 16; t < 64; t += 1) {
    const x = words[t - 15];
    const y = words[t - 2];
    const small = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
    words[t] = words[t - 16] + small + words[t - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let t = 0; t < 64; t += 1) {
    const choice = (e & f) ^ (~e & g);
    const first = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + choice + ROUNDS[t] + words[t]) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const second = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + majority) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => {
    state[index] += word;
  });
}

function turn(word, bits) {
  return (word >>> bits) | (word << (32 - bits));
}

/** Return the 32 bytes of HMAC-SHA256 (RFC 2104). */
export function hmacSha256(key, message) {
  const block = new Uint8Array(64);
  block.set(key.length > 64 ? sha256(key) : key);
  const inner = sha256(joined(block.map((byte) => byte ^ 0x36), message));
  return sha256(joined(block.map((byte) => byte ^ 0x5c), inner));
}

function joined(first, second) {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const encoder = new TextEncoder();

/** Encode a text as UTF-8; half a surrogate pair on its own becomes U+FFFD. */
function utf8(text) {
  return encoder.encode(text);
}

/** Encode a text as UTF-8; half a surrogate pair on its own becomes the three bytes of its number. */
function utf8OfHalves(text) {
  if (!/\p{Surrogate}/u.test(text)) return utf8(text);
  const bytes = [];
  for (const letter of text) {
    const code = letter.codePointAt(0);
    if (code < 0xd800 || code > 0xdfff) bytes.push(...encoder.encode(letter));
    else bytes.push(0xed, 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return Uint8Array.from(bytes);
}

/** Return the HMAC-SHA256 of one text under another, in hex. */
export function hmacHex(secret, text) {
  return hex(hmacSha256(utf8(secret), utf8(text)));
}

/** Return what binds an operator to a secret. */
export function commitment(epoch, secret) {
  return hex(sha256(utf8(`aiba-arena seed commitment v1:${epoch}:${secret}`)));
}

/** Return the id of the battle that a player asked for under a key at an instant in ms. */
export function battleId(player, request, at) {
  const second = at / 1000n - (at < 0n && at % 1000n !== 0n ? 1n : 0n);
  const time = BigInt.asUintN(32, second).toString(16).padStart(8, "0");
  return time + hex(sha256(utf8OfHalves(`battle\0${player}\0${request}`))).slice(0, 16);
}

// ---- JSON without loss.

const BLANK = /[ \t\n\r]*/y;
const NUMBER = /(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
// eslint-disable-next-line no-control-regex -- JSON forbids these
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const HEX4 = /[0-9a-fA-F]{4}/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const WORDS = [["true", true], ["false", false], ["null", null]];

/** A text that is no JSON at all. */
class NotJson extends Refusal {}

/** Read one JSON value. Throws a Refusal that tells the place. */
export function parseJson(text) {
  let at = 0;

  function wrong(what) {
    const lines = text.slice(0, at).split("\n");
    const column = lines[lines.length - 1].length + 1;
    return new NotJson(`line ${lines.length}, column ${column}: ${what}`);
  }

  function take(pattern) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  }

  function escape() {
    const sign = text[at];
    at += 1;
    if (sign !== "u") {
      if (!Object.hasOwn(ESCAPES, sign ?? "")) throw wrong("unknown escape");
      return ESCAPES[sign];
    }
    const code = take(HEX4);
    if (!code) throw wrong("four hex digits expected");
    return String.fromCharCode(parseInt(code[0], 16));
  }

  function string() {
    at += 1;
    let value = "";
    for (;;) {
      value += take(PLAIN)[0];
      const sign = text[at];
      if (sign === '"') break;
      if (sign !== "\\") throw wrong(sign === undefined ? "a text is not closed" : "control character");
      at += 1;
      value += escape();
    }
    at += 1;
    return value;
  }

  function number() {
    const found = take(NUMBER);
    if (!found) throw wrong(at < text.length ? "no JSON value" : "a value is missing");
    const [whole, digits, fraction, exponent] = found;
    if (fraction !== undefined || exponent !== undefined) return Number(whole);
    if (digits.replace("-", "").length > MOST_DIGITS) throw wrong("a number is too long");
    return BigInt(digits);
  }

  function list(depth) {
    const items = [];
    at += 1;
    take(BLANK);
    if (text[at] === "]") at += 1;
    else {
      do items.push(value(depth)); while (more("]"));
    }
    return items;
  }

  function object(depth) {
    const members = Object.create(null);
    at += 1;
    take(BLANK);
    if (text[at] === "}") {
      at += 1;
      return members;
    }
    do {
      take(BLANK);
      if (text[at] !== '"') throw wrong("a name in double quotes expected");
      const name = string();
      if (name in members) throw new Refusal(`duplicate key ${quoted(name)}`);
      take(BLANK);
      if (text[at] !== ":") throw wrong("':' expected");
      at += 1;
      members[name] = value(depth);
    } while (more("}"));
    return members;
  }

  function more(end) {
    const sign = text[at];
    if (sign !== "," && sign !== end) throw wrong(`',' or '${end}' expected`);
    at += 1;
    return sign === ",";
  }

  function value(depth) {
    if (depth > DEEPEST) throw wrong("nested too deeply");
    take(BLANK);
    const sign = text[at];
    let found;
    if (sign === "{") found = object(depth + 1);
    else if (sign === "[") found = list(depth + 1);
    else if (sign === '"') found = string();
    else {
      const word = WORDS.find(([name]) => text.startsWith(name, at));
      found = word ? word[1] : number();
      if (word) at += word[0].length;
    }
    take(BLANK);
    return found;
  }

  const found = value(0);
  if (at < text.length) throw wrong("something follows the value");
  return found;
}

/** Read one JSON value, or else one a line as a list. Throws a Refusal. */
export function readJson(text) {
  try {
    return parseJson(text);
  } catch (reason) {
    const lines = text.split("\n").filter((line) => /[^ \t\r]/.test(line));
    if (!(reason instanceof NotJson) || lines.length < 2) throw reason;
    return lines.map((line, index) => {
      try {
        return parseJson(line);
      } catch (inLine) {
        // A first line that is no value by itself is the start of one that is wrong further on.
        if (index && inLine instanceof NotJson) inLine.message = `text ${index + 1}: ${inLine.message}`;
        throw index ? inLine : reason;
      }
    });
  }
}

/** Write a text in double quotes and plain ASCII, as JSON. */
function quoted(text) {
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function plain(text) {
  return quoted(text).slice(1, -1);
}

/** Write a text, whole number or flag as JSON. */
function shown(value) {
  return typeof value === "string" ? quoted(value) : String(value);
}

// ---- The shape of a receipt. Each check takes a value and its path, and throws a Refusal.

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function refuse(path, reason) {
  throw new Refusal(`${path}: ${reason}`);
}

function anyText(value, path) {
  if (typeof value !== "string") refuse(path, "not a text");
}

function text(value, path) {
  anyText(value, path);
  // A letter is at most two units, so the exact count is rarely needed.
  if (value.length > 1000 && [...value].length > 1000) refuse(path, "longer than 1000 characters");
}

function wholeOfAnySize(value, path) {
  if (typeof value !== "bigint") refuse(path, "not a whole number");
}

function whole(value, path) {
  wholeOfAnySize(value, path);
  if (value > LARGEST || value < -LARGEST) refuse(path, "more than 64 bits");
}

function flag(value, path) {
  if (typeof value !== "boolean") refuse(path, "neither true nor false");
}

function factor(value, path) {
  if (typeof value !== "number" && typeof value !== "bigint") refuse(path, "not a number");
  if (!Number.isFinite(Number(value))) refuse(path, "not finite");
  if (Number.isSafeInteger(value)) refuse(path, "a whole number with a fraction or an exponent");
}

function stat(value, path) {
  if (typeof value === "bigint") whole(value, path);
  factor(value, path);
}

function emission(value, path) {
  if (!EMISSIONS.includes(value)) refuse(path, `none of ${EMISSIONS.join(", ")}`);
}

function exactText(value, path) {
  text(value, path);
  if (!/^[0-9]+(?:\.[0-9]+|\/0*[1-9][0-9]*)?$/.test(value)) refuse(path, "not an exact number");
  if (fraction(value).shortest !== value) refuse(path, "not in its shortest form");
}

function exact(value, path) {
  text(value, path);
  if (value.length > 40) refuse(path, "longer than 40 characters");
  exactText(value, path);
}

function factorUpTo(highest) {
  return (value, path) => {
    exact(value, path);
    const { n, d } = fraction(value);
    if (n > highest * d) refuse(path, `above ${highest}`);
    if (d > 10n ** 18n) refuse(path, "more than 18 decimals");
  };
}

function grantSize(value, path) {
  whole(value, path);
  if (value < 0n || value > 10n ** 12n) refuse(path, "not from 0 to 1000000000000");
}

function nullable(check) {
  return (value, path) => {
    if (value !== null) check(value, path);
  };
}

/** Return the check of an object that has all of `needed`, maybe some of `optional`, no others. */
function shape(needed, optional = {}) {
  const names = Object.keys(needed).sort();
  const checks = { __proto__: null, ...needed, ...optional };
  return (value, path) => {
    if (!isObject(value)) refuse(path, "not an object");
    for (const name of Object.keys(value)) {
      if (!(name in checks)) refuse(`${path}.${plain(name)}`, "unknown");
    }
    for (const name of names) if (!(name in value)) refuse(`${path}.${name}`, "missing");
    for (const name in checks) if (name in value) checks[name](value[name], `${path}.${name}`);
  };
}

/** Return the check of an object that is left out rather than empty. */
function notEmpty(check) {
  return (value, path) => {
    check(value, path);
    if (!Object.keys(value).length) refuse(path, "empty");
  };
}

function onlyTrue(value, path) {
  if (value !== true) refuse(path, "neither true nor left out");
}

const MODE = shape({
  key: text,
  arena: text,
  league: text,
  energyCost: whole,
  cooldownSeconds: whole,
  entryNeur: whole,
  entryAiba: whole,
  rewardMultiplierAiba: exact,
  rewardMultiplierNeur: exact,
  rules: shape({}, {
    requiresGuild: onlyTrue,
    minBrokerLevel: wholeOfAnySize,
    arenaWeights: notEmpty(shape({}, { intelligence: factor, speed: factor, risk: factor })),
    leagueMultiplier: factor,
    varianceBase: factor,
  }),
});
const PER_SCORE = factorUpTo(1000000000n);
const MULTIPLIER = factorUpTo(1000n);
const BPS = factorUpTo(1000000n);
const RATES = shape({
  aibaPerScore: PER_SCORE,
  neurPerScore: PER_SCORE,
  streakMultiplierAt7Days: MULTIPLIER,
  streakMultiplierAt30Days: MULTIPLIER,
  streakCapMultiplier: MULTIPLIER,
  winStreakBonusBps: BPS,
  premiumMultiplier: MULTIPLIER,
  inviteBonusBps: BPS,
  guildCreatorShareBps: BPS,
  creatorPercentBps: BPS,
  creatorTier100Bps: BPS,
  creatorTier1000Bps: BPS,
  creatorTier10000Bps: BPS,
  starsPerWin: grantSize,
  diamondsFirstWin: grantSize,
});
const INPUTS = shape({
  battleId: text,
  playerId: text,
  brokerId: text,
  requestId: text,
  at: whole,
  epoch: whole,
  commitment: text,
  fighter: shape({ intelligence: stat, speed: stat, risk: stat, level: stat }),
  mode: MODE,
  guild: nullable(
    shape({ myId: text, myCount: whole, theirId: text, theirCount: whole, hasLeader: flag }),
  ),
  policyVersion: whole,
  rates: RATES,
  bonuses: nullable(
    shape({
      loginStreakDays: whole,
      winStreak: whole,
      premium: flag,
      invites: whole,
      boost: nullable(MULTIPLIER),
    }),
  ),
  anomalyLimit: whole,
});
const OUTCOME = shape({
  seedHex: text,
  draw: whole,
  guildBonus: whole,
  score: whole,
  scoreLimit: whole,
  isAnomaly: flag,
  proposedAiba: whole,
  proposedNeur: whole,
  multiplier: exactText,
});
const GRANT = shape({
  aiba: whole,
  neur: whole,
  aibaEmission: emission,
  neurEmission: emission,
  playerNeur: whole,
  leaderNeur: whole,
  vaultNeur: whole,
});
const RECEIPT = shape(
  {
    version(value, path) {
      if (value !== 1n) refuse(path, "unknown version");
    },
    inputs: INPUTS,
    outcome: OUTCOME,
    grant: GRANT,
  },
  { revealedSecret: nullable(anyText) },
);

// ---- Exact factors: a fraction of BigInts in lowest terms, the denominator above 0.

function ratio(n, d) {
  let [a, b] = [n < 0n ? -n : n, d];
  while (b) [a, b] = [b, a % b];
  return a > 1n ? { n: n / a, d: d / a } : { n, d };
}

const factors = new Map(); // the receipts of one policy all state the same factors

/** Read a text such as "1.25" or "25/24"; `shortest` is how it is best written. */
function fraction(written) {
  const known = factors.get(written);
  if (known) return known;
  const [top, bottom] = written.split("/");
  const [digits, decimals = ""] = top.split(".");
  const divisor = bottom === undefined ? 10n ** BigInt(decimals.length) : BigInt(bottom);
  const found = ratio(BigInt(digits + decimals), divisor);
  found.shortest = decimalText(found);
  if (factors.size >= 4096) factors.clear();
  factors.set(written, found);
  return found;
}

function plus(a, b) {
  return ratio(a.n * b.d + b.n * a.d, a.d * b.d);
}

function times(a, b) {
  return ratio(a.n * b.n, a.d * b.d);
}

function isAboveOne(value) {
  return value.n > value.d;
}

function least(a, b) {
  return a.n * b.d < b.n * a.d ? a : b;
}

/** Multiply whole units by a factor of at least 0, rounded down. */
function scaled(units, by) {
  return (units * by.n) / by.d;
}

/** Write a fraction as a finite decimal, or as n/d where there is none. */
export function decimalText({ n, d }) {
  let rest = d;
  let digits = 0;
  for (const divisor of [10n, 2n, 5n]) {
    for (; rest % divisor === 0n; digits += 1) rest /= divisor;
  }
  if (rest !== 1n) return `${n}/${d}`;
  const size = n < 0n ? -n : n;
  const units = String((size * 10n ** BigInt(digits)) / d).padStart(digits + 1, "0");
  const point = units.length - digits;
  const decimal = digits ? `${units.slice(0, point)}.${units.slice(point)}` : units;
  return n < 0n ? `-${decimal}` : decimal;
}

// ---- The rules of a battle.

const ONE = { n: 1n, d: 1n };

/** Return the text whose HMAC is the seed: seven fields, the last one empty without a rival. */
export function seedMessage(inputs) {
  const { key, arena, league } = inputs.mode;
  const rival = inputs.guild ? inputs.guild.theirId : "";
  return [inputs.playerId, inputs.brokerId, key, arena, league, inputs.requestId, rival].join(":");
}

/** Return the first `count` draws of mulberry32, each a whole number below 2^32. */
export function mulberry32(seed, count = 1) {
  const draws = [];
  let a = Number(seed) >>> 0;
  while (draws.length < count) {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    draws.push((t ^ (t >>> 14)) >>> 0);
  }
  return draws;
}

/** Return a stat as a part of 100, at least 0 and at most 1. */
function share(value) {
  return Math.min(1, Math.max(0, Number(value) / 100));
}

/** Return what is certain of a score, how far a draw can move it, and what both are made of. */
export function prospects(fighter, mode) {
  const rules = mode.rules ?? {};
  const own = rules.arenaWeights ?? {};
  const usual = ARENA_WEIGHTS[mode.arena] ?? [0.5, 0.3, 0.2];
  const weights = ["intelligence", "speed", "risk"].map((name, i) => Number(own[name] ?? usual[i]));
  // A multiplier of 0 counts as 1.
  const league = Number(rules.leagueMultiplier ?? LEAGUE_MULTIPLIERS[mode.league] ?? 1) || 1;
  const spread = Number(rules.varianceBase ?? 30);
  const level = Math.floor(Math.max(1, Math.min(26, Number(fighter.level))));
  const growth = 1 + (level - 1) * 0.02;
  const shares = [share(fighter.intelligence), share(fighter.speed), share(fighter.risk)];
  const weighted = weights[0] * shares[0] + weights[1] * shares[1] + weights[2] * shares[2];
  const base = 100 * league * growth * weighted;
  const variance = spread * league * (0.2 + shares[2]);
  return { shares, weights, league, growth, spread, base, variance };
}

function unrounded({ base, variance }, draw) {
  return base + (draw / U32 - 0.5) * 2 * variance;
}

/** Return the score that a draw gives before any guild bonus; halves round up. */
export function scoreAt(certain, draw) {
  const total = unrounded(certain, draw);
  if (!Number.isFinite(total)) throw new Refusal("the score is not finite");
  const below = Math.floor(total);
  const points = BigInt(below) + (total - below >= 0.5 ? 1n : 0n);
  return atLeast0(points);
}

function atLeast0(number) {
  return number > 0n ? number : 0n;
}

/** Return what the difference in pooled brokers adds: -15 to 15. */
export function guildBonus(guild) {
  if (!guild || !guild.theirId) return 0n;
  const bonus = (guild.myCount - guild.theirCount) * 3n;
  if (bonus > 15n) return 15n;
  return bonus < -15n ? -15n : bonus;
}

function streakMultiplier(days, rates) {
  if (days <= 0n) return ONE;
  const week = fraction(rates.streakMultiplierAt7Days);
  if (days < 7n) return plus(ONE, times(ratio(days - 1n, 6n), plus(week, { n: -1n, d: 1n })));
  if (days < 30n) return week;
  return least(fraction(rates.streakCapMultiplier), fraction(rates.streakMultiplierAt30Days));
}

function onePlusBps(count, bps) {
  return plus(ONE, times(ratio(count, 10000n), fraction(bps)));
}

/** Return the exact product of a player's bonuses, the boost left out. */
export function bonusMultiplier(bonuses, rates) {
  if (!bonuses) return ONE;
  let product = streakMultiplier(bonuses.loginStreakDays, rates);
  const wins = bonuses.winStreak < 5n ? bonuses.winStreak : 5n;
  product = times(product, onePlusBps(wins, rates.winStreakBonusBps));
  if (bonuses.premium) product = times(product, fraction(rates.premiumMultiplier));
  if (bonuses.invites >= 3n) product = times(product, onePlusBps(1n, rates.inviteBonusBps));
  return product;
}

/** Return whole units after the rate, after the bonuses and after the boost, each rounded down. */
export function reward(points, perScore, modeMultiplier, product, boost) {
  const first = scaled(points, times(fraction(perScore), fraction(modeMultiplier)));
  const second = isAboveOne(product) ? scaled(first, product) : first;
  const raise = boost === null ? ONE : fraction(boost);
  const last = isAboveOne(raise) ? scaled(second, raise) : second;
  if (last > LARGEST) throw new Refusal("the reward is no amount");
  return [first, second, last];
}

/** Return the outcome that the inputs and the secret give, and the steps towards it. */
export function outcomeOf(inputs, secret) {
  const { mode, rates, bonuses } = inputs;
  const message = seedMessage(inputs);
  const seedHex = hmacHex(secret, message);
  const seed = parseInt(seedHex.slice(0, 8), 16);
  const [draw] = mulberry32(seed);
  const certain = prospects(inputs.fighter, mode);
  const bonus = guildBonus(inputs.guild);
  const before = scoreAt(certain, draw);
  const score = atLeast0(before + bonus);
  // Every step keeps the order of the draws, so the best of them is the last, or else the first.
  const best = atLeast0(scoreAt(certain, certain.variance >= 0 ? U32 - 1 : 0) + bonus);
  const limit = best > inputs.anomalyLimit ? best : inputs.anomalyLimit;
  const product = bonusMultiplier(bonuses, rates);
  const boost = bonuses ? bonuses.boost : null;
  const aiba = reward(score, rates.aibaPerScore, mode.rewardMultiplierAiba, product, boost);
  const neur = reward(score, rates.neurPerScore, mode.rewardMultiplierNeur, product, boost);
  const outcome = {
    seedHex,
    draw: BigInt(draw),
    guildBonus: bonus,
    score,
    scoreLimit: limit,
    isAnomaly: score > limit,
    proposedAiba: aiba[2],
    proposedNeur: neur[2],
    multiplier: decimalText(product),
  };
  const total = unrounded(certain, draw);
  return { outcome, steps: { message, seed, ...certain, total, before, aiba, neur } };
}

/** Return what is paid under the emission that the receipt states: all or nothing. */
export function grantOf(inputs, outcome, stated) {
  const aibaEmission = outcome.proposedAiba ? stated.aibaEmission : "nothing";
  const neurEmission = outcome.proposedNeur ? stated.neurEmission : "nothing";
  const aiba = aibaEmission === "granted" ? outcome.proposedAiba : 0n;
  const neur = neurEmission === "granted" ? outcome.proposedNeur : 0n;
  const guildPart = inputs.guild ? neur / 5n : 0n;
  const bps = least(ratio(10000n, 1n), fraction(inputs.rates.guildCreatorShareBps));
  const leaderNeur = inputs.guild?.hasLeader ? scaled(guildPart, times(bps, ratio(1n, 10000n))) : 0n;
  return {
    aibaEmission,
    aiba,
    neurEmission,
    neur,
    playerNeur: neur - guildPart,
    leaderNeur,
    vaultNeur: guildPart - leaderNeur,
  };
}

// ---- Judging.

/** Return the receipts in one receipt, a list, or a reply of the service. */
export function receiptsIn(value) {
  if (Array.isArray(value)) return value.flatMap(receiptsIn);
  if (isObject(value)) {
    if ("inputs" in value) return [value];
    const part = ["receipt", "receipts", "items", "battles", "data"].find((name) => name in value);
    if (part !== undefined) return receiptsIn(value[part]);
  }
  throw new Refusal("no receipt found");
}

/** Return the epochs of a reply of GET /api/fairness by number. */
export function readFairness(value) {
  const reply = isObject(value) && "data" in value ? value.data : value;
  if (!isObject(reply) || !Array.isArray(reply.epochs)) throw new Refusal("epochs: not a list");
  const found = new Map();
  for (const epoch of reply.epochs) {
    if (!isObject(epoch)) refuse("epochs", "not a list of objects");
    whole(epoch.number, "epochs.number");
    anyText(epoch.commitment, "epochs.commitment");
    if (found.has(epoch.number)) refuse("epochs.number", `${epoch.number} is listed twice`);
    found.set(epoch.number, epoch);
  }
  return found;
}

/** Return the places where a stated value is not the computed one. */
function differences(part, stated, computed) {
  return Object.keys(computed)
    .filter((key) => stated[key] !== computed[key])
    .map((key) => ({
      field: `${part}.${key}`,
      stated: stated[key],
      computed: computed[key],
      text: `${part}.${key} is ${shown(stated[key])}, recomputed ${shown(computed[key])}`,
    }));
}

/**
 * Judge one receipt. The secret is the receipt's own, else `secret`, else the published one.
 *
 * Returns its name, every problem as `{text}` (with `field`, `stated` and `computed` where a value
 * differs), and the `steps` that were computed, null if nothing could be. It never throws for what
 * a receipt states.
 */
export function judge(receipt, secret, epochs) {
  const stated = isObject(receipt.inputs) ? receipt.inputs.battleId : null;
  const found = { name: typeof stated === "string" ? stated : "?", problems: [], computed: null };
  try {
    RECEIPT(receipt, "receipt");
    const { inputs } = receipt;
    const epoch = epochs.get(inputs.epoch);
    const key = receipt.revealedSecret || secret || epoch?.revealedSecret;
    if (typeof key !== "string") throw new Refusal("the secret of the epoch is not revealed");
    if (inputs.epoch < 1n) throw new Refusal("receipt.inputs.epoch: below 1");
    const { outcome, steps } = outcomeOf(inputs, key);
    const grant = grantOf(inputs, outcome, receipt.grant);
    found.computed = { outcome, grant, steps, published: epoch !== undefined };
    for (const [isRight, problem] of [
      [inputs.commitment === commitment(inputs.epoch, key),
        "the secret is not the one that was promised"],
      [inputs.battleId === battleId(inputs.playerId, inputs.requestId, inputs.at),
        "the id is that of another battle"],
    ]) if (!isRight) found.problems.push({ text: problem });
    found.problems.push(...differences("outcome", receipt.outcome, outcome));
    found.problems.push(...differences("grant", receipt.grant, grant));
    if (epoch && epoch.commitment !== inputs.commitment) {
      found.problems.push({ text: "another commitment was published for the epoch" });
    }
  } catch (reason) {
    if (!(reason instanceof Refusal)) throw reason;
    found.problems.push({ text: reason.message });
  }
  return found;
}

/** Return the line that is printed for one judged receipt; all that it states is escaped. */
export function lineOf(receipt, { name, problems }) {
  if (problems.length) {
    return `FAILED ${plain(name)}: ${problems.map((problem) => problem.text).join("; ")}`;
  }
  const { outcome, grant } = receipt;
  return `ok ${plain(name)}: score ${outcome.score}, ${grant.aiba} AIBA, ${grant.neur} NEUR`;
}

// ---- The command line: left out of the page.

const USAGE = `usage: verify_battle.mjs [-h] --receipt RECEIPT [--secret SECRET] [--fairness FAIRNESS]

Verify AIBA Arena battles offline.

  -h, --help           show this help message and exit
  --receipt RECEIPT    file of receipts, - for standard input
  --secret SECRET      the revealed secret
  --fairness FAIRNESS  file with the reply of GET /api/fairness
`;

/** Return the options, or null for a command line that is wrong. */
async function optionsOf(args) {
  const { parseArgs } = await import("node:util");
  const [text, options] = [{ type: "string" }, {}];
  const known = { receipt: text, secret: text, fairness: text };
  try {
    const help = { type: "boolean", short: "h" };
    Object.assign(options, parseArgs({ args, options: { ...known, help } }).values);
    if (options.help || options.receipt !== undefined) return options;
    process.stderr.write(`${USAGE}error: --receipt is required\n`);
  } catch (reason) {
    process.stderr.write(`${USAGE}error: ${plain(reason.message)}\n`);
  }
  return null;
}

/** Check every receipt; return 0 only if all are genuine. */
async function main(args) {
  const { readFileSync } = await import("node:fs");
  const options = await optionsOf(args);
  if (!options) return 2;
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const read = (source) => readJson(decoder.decode(readFileSync(source === "-" ? 0 : source)));
  let epochs = new Map();
  let receipts;
  try {
    if (options.fairness !== undefined) epochs = readFairness(read(options.fairness));
    receipts = receiptsIn(read(options.receipt));
  } catch (reason) {
    process.stderr.write(`not readable: ${plain(reason.message)}\n`);
    return 1;
  }
  let isAllGenuine = receipts.length > 0;
  const lines = receipts.map((receipt) => {
    const judged = judge(receipt, options.secret, epochs);
    isAllGenuine &&= !judged.problems.length;
    return `${lineOf(receipt, judged)}\n`;
  });
  process.stdout.write(lines.join(""));
  return isAllGenuine ? 0 : 1;
}

/** Tell whether this file is what Node was started with. */
async function isStarted() {
  if (typeof process === "undefined" || !process.argv?.[1]) return false;
  const { realpathSync } = await import("node:fs");
  const { fileURLToPath } = await import("node:url");
  try {
    return realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
  } catch {
    return false; // started with something that is no file
  }
}

if (await isStarted()) process.exitCode = await main(process.argv.slice(2));
