// ---- The page: reads the fields, and says in words what `judge` found.

const SHOWN_AT_MOST = 50;
const FIELDS = {
  "outcome.seedHex": "seed",
  "outcome.draw": "draw",
  "outcome.guildBonus": "guild bonus",
  "outcome.score": "score",
  "outcome.scoreLimit": "highest plausible score",
  "outcome.isAnomaly": "mark as an anomaly",
  "outcome.proposedAiba": "AIBA won",
  "outcome.proposedNeur": "NEUR won",
  "outcome.multiplier": "bonus multiplier",
  "grant.aibaEmission": "reason of the AIBA payment",
  "grant.aiba": "AIBA paid",
  "grant.neurEmission": "reason of the NEUR payment",
  "grant.neur": "NEUR paid",
  "grant.playerNeur": "NEUR paid to the player",
  "grant.leaderNeur": "NEUR paid to the guild's leader",
  "grant.vaultNeur": "NEUR paid to the guild",
};
const SENTENCES = {
  "the secret of the epoch is not revealed":
    "The secret of the battle's epoch is not known: it is revealed when the epoch closes. Add the fairness document of a later time.",
  "the secret is not the one that was promised":
    "The secret is not the one that was promised before the battle.",
  "the id is that of another battle":
    "The battle's id does not belong to this player, request and time.",
  "another commitment was published for the epoch":
    "The receipt names another promise than the one that was published for the epoch.",
  "the score is not finite": "The mode's numbers are so large that no score comes out.",
  "the reward is no amount": "The reward that comes out is larger than any amount can be.",
};

const part = (id) => document.getElementById(id);

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...[content].flat());
  return made;
}

function words({ field, stated, computed, text }) {
  if (field) {
    return `The ${FIELDS[field]} is not right: the receipt says ${shown(stated)}, the formulas give ${shown(computed)}. (${field})`;
  }
  return SENTENCES[text] ?? `The receipt is not well formed. ${text}`;
}

/** Make a table of rows [what, computed, stated]; stated is undefined for what no receipt states. */
function table(title, rows) {
  const head = ["", "Computed", "The receipt says"].map((text) =>
    element("th", text, text ? { scope: "col" } : { "aria-hidden": "true" }));
  const body = rows.map(([what, computed, stated]) => {
    const isWrong = stated !== undefined && computed !== undefined && stated !== computed;
    const cells = [computed, stated].map((value) => element("td", value === undefined ? "" : String(value)));
    if (isWrong) cells[1].append(" (differs)");
    return element("tr", [element("th", what, { scope: "row" }), ...cells], isWrong ? { class: "differs" } : {});
  });
  return element("table", [
    element("caption", title),
    element("thead", element("tr", head)),
    element("tbody", body),
  ]);
}

function rewardRows(name, steps, proposed, stated) {
  return [
    [`${name} for the score, rounded down`, steps[0]],
    [`${name} after the bonuses, rounded down`, steps[1]],
    [`${name} after the boost, rounded down`, steps[2]],
    [`${name} won`, proposed, stated],
  ];
}

function tablesOf({ inputs, outcome: said, grant: paid }, { outcome, grant, steps }) {
  const names = ["Intelligence", "Speed", "Risk"];
  const { mode } = inputs;
  return [
    table("1. Seed", [
      ["Text that is hashed", steps.message],
      ["HMAC-SHA256 of it under the secret", outcome.seedHex, said.seedHex],
      ["Its first 8 digits as a number", steps.seed],
    ]),
    table("2. Draw", [
      ["First draw of mulberry32", outcome.draw, said.draw],
      ["As a part of 1", Number(outcome.draw) / U32],
    ]),
    table("3. Score", [
      ...names.map((name, i) => [`${name}: share times weight`, `${steps.shares[i]} × ${steps.weights[i]}`]),
      ["League multiplier", steps.league],
      ["Level multiplier", steps.growth],
      ["Certain part", steps.base],
      ["What the draw can move, up and down", steps.variance],
      ["Both together", steps.total],
      ["Rounded, halves up, at least 0", steps.before],
      ["Guild bonus", outcome.guildBonus, said.guildBonus],
      ["Score", outcome.score, said.score],
      ["Highest plausible score", outcome.scoreLimit, said.scoreLimit],
      ["Anomaly", outcome.isAnomaly, said.isAnomaly],
    ]),
    table("4. Rewards", [
      ["Bonus multiplier", outcome.multiplier, said.multiplier],
      ...rewardRows("AIBA", steps.aiba, outcome.proposedAiba, said.proposedAiba),
      ...rewardRows("NEUR", steps.neur, outcome.proposedNeur, said.proposedNeur),
    ]),
    table("5. Payment", [
      ["Whether AIBA could be emitted that day", undefined, paid.aibaEmission],
      ["AIBA paid", grant.aiba, paid.aiba],
      ["Whether NEUR could be emitted that day", undefined, paid.neurEmission],
      ["NEUR paid", grant.neur, paid.neur],
      ["of it to the player", grant.playerNeur, paid.playerNeur],
      ["of it to the guild's leader", grant.leaderNeur, paid.leaderNeur],
      ["of it to the guild", grant.vaultNeur, paid.vaultNeur],
    ]),
    table("6. What the battle cost: stated, no part of the draw", [
      ["Energy", undefined, mode.energyCost],
      ["Rest afterwards, in seconds", undefined, mode.cooldownSeconds],
      ["Entry in NEUR", undefined, mode.entryNeur],
      ["Entry in AIBA", undefined, mode.entryAiba],
    ]),
  ];
}

function say(isGood, headline, lines) {
  const verdict = part("verdict");
  verdict.className = isGood ? "good" : "bad";
  const items = lines.map((line) => element("li", line));
  verdict.replaceChildren(element("p", headline, { class: "headline" }));
  if (items.length) verdict.append(element("ul", items));
}

/** Read a field with a function; say what is wrong with it and return undefined if that fails. */
function taken(id, title, read) {
  const field = part(id);
  try {
    field.removeAttribute("aria-invalid");
    return read(field.value);
  } catch (reason) {
    if (!(reason instanceof Refusal)) throw reason;
    field.setAttribute("aria-invalid", "true");
    field.focus();
    say(false, "Not readable", [`${title}: ${reason.message}`]);
    return undefined;
  }
}

function receiptsFrom(text) {
  if (!text.trim()) throw new Refusal("it is empty, paste one or open a file");
  const receipts = receiptsIn(readJson(text));
  if (!receipts.length) throw new Refusal("no receipt found");
  return receipts;
}

function epochsFrom(text) {
  return text.trim() ? readFairness(readJson(text)) : new Map();
}

/** Return one sentence on a battle that is genuine. */
function praise({ outcome, grant }, name) {
  return `${plain(name)}: score ${outcome.score}, ${grant.aiba} AIBA and ${grant.neur} NEUR paid.`;
}

function linesOf({ receipt, found }, isAlone) {
  const name = isAlone ? "" : `${plain(found.name)}: `;
  if (found.problems.length) return found.problems.map((problem) => name + words(problem));
  const lines = [praise(receipt, found.name)];
  if (!found.computed.published) {
    lines.push(`${name}Caution: no published promise was compared. Whoever made this receipt may have made up its secret too; add the fairness document.`);
  }
  return lines;
}

function verify() {
  part("steps").replaceChildren();
  const receipts = taken("receipt", "The receipt", receiptsFrom);
  const epochs = receipts && taken("fairness", "The fairness document", epochsFrom);
  if (!epochs) return;
  const secret = part("secret").value.trim();
  const judged = receipts.map((receipt) => ({ receipt, found: judge(receipt, secret, epochs) }));
  const bad = judged.filter(({ found }) => found.problems.length);
  const isAlone = judged.length === 1;
  let headline = bad.length ? "Not genuine" : "Genuine";
  if (!isAlone) headline += `: ${judged.length - bad.length} of ${judged.length} battles are genuine`;
  const told = (bad.length ? bad : judged).slice(0, SHOWN_AT_MOST);
  say(!bad.length, headline, told.flatMap((one) => linesOf(one, isAlone)));
  for (const { receipt, found } of judged.slice(0, SHOWN_AT_MOST)) {
    if (!found.computed) continue;
    const title = element("summary", `Step by step: battle ${plain(found.name)}`);
    part("steps").append(
      element("details", [title, ...tablesOf(receipt, found.computed)], isAlone ? { open: "" } : {}),
    );
  }
}

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  verify();
});
part("form").noValidate = true; // what is missing is said in the result, where a screen reader hears it
part("form").addEventListener("reset", () => {
  for (const id of ["receipt", "fairness"]) part(id).removeAttribute("aria-invalid");
  part("verdict").className = "";
  part("verdict").replaceChildren(element("p", "Nothing is verified yet."));
  part("steps").replaceChildren();
});
for (const id of ["receipt", "fairness"]) {
  part(`${id}-file`).addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) part(id).value = await file.text();
  });
}
