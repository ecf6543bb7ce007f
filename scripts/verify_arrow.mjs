// Reads the splits of each data set with apache-arrow and prints what it found as JSON: see scripts/verify-arrow.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { tableFromIPC } from "apache-arrow";

const columns = ["domain", "class", "family", "source"];
const found = {};
for (const dir of process.argv.slice(2)) {
  found[dir] = {};
  for (const split of ["train", "validation", "test"]) {
    try {
      const table = tableFromIPC(readFileSync(`${dir}/${split}.arrow`));
      const hash = createHash("sha256");
      const counts = { class: {}, family: {}, source: {} };
      for (const batch of table.batches) {
        const vectors = columns.map((name) => batch.getChild(name));
        for (let i = 0; i < batch.numRows; i++) {
          const row = vectors.map((v) => v.get(i));
          hash.update(row.join("\t") + "\n");
          for (let c = 1; c < 4; c++) counts[columns[c]][row[c]] = (counts[columns[c]][row[c]] ?? 0) + 1;
        }
      }
      found[dir][split] = {
        rows: table.numRows, sha256: hash.digest("hex"), counts,
        fingerprint: table.schema.metadata.get("degas.fingerprint") ?? null,
      };
    } catch (e) {
      found[dir][split] = { error: String(e.message ?? e).split("\n")[0] };
    }
  }
}
console.log(JSON.stringify(found));
