// Starts what an operator has: a DNS server upstream, degas serve with a folder, and degas-dns between them.
import { spawn, execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { cpSync, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

// freePort is a port of UDP that nobody has. TCP has it free too, as long as nobody takes it in the meantime.
async function freePort() {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

// until calls a function until it gives something, and fails after some seconds.
export async function until(what, seconds, call) {
  const end = Date.now() + 1000 * seconds;
  for (;;) {
    const got = await call();
    if (got) return got;
    if (Date.now() > end) throw new Error(`${seconds} s passed, and not yet: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

// Servers are the three processes. Their logs are files in the folder.
export class Servers {
  #running = [];

  // start has bin's programs work in dir.
  async start(bin, dir) {
    const [up, port] = [await freePort(), await freePort()];
    this.#run(dir, `${bin}/upstream`, `127.0.0.1:${up}`);
    const model = `${dir}/models/degas`; // a version in force, and the same again as a candidate
    await run(`${bin}/degas`, ["--quiet", "export-model", "builtin", "--to", `${model}/1`, "--format", "onnx"]);
    cpSync(`${model}/1`, `${model}/shadow/2`, { recursive: true });
    const serve = this.#run(dir, `${bin}/degas`, "serve", model, "--data", `${dir}/data`, "--addr", "127.0.0.1:0");
    const late = setTimeout(() => serve.kill(), 60_000);
    const link = await this.#link(createInterface(serve.stdout));
    clearTimeout(late);
    this.url = link.origin;
    this.link = link.href;
    const lists = ["allow", "block"].flatMap((kind) => [`--${kind}`, `${this.url}/v1/lists/${kind}?wait=30s`]);
    this.#run(dir, `${bin}/degas-dns`, "--listen", `127.0.0.1:${port}`, "--upstream", `127.0.0.1:${up}`, ...lists,
      "--events", `${this.url}/v1/events`, "--action", "nxdomain");
    this.dns = port;
    await until("an answer of degas-dns", 20, async () => (await this.dig("ready.example")).addresses.length);
  }

  // #link waits for the link with which the first account is made.
  async #link(lines) {
    for await (const line of lines) {
      if (line.includes("/console/welcome?")) return new URL(line.trim());
    }
    throw new Error("degas serve printed no link for the first account");
  }

  #run(dir, program, ...args) {
    const name = program.replace(/.*\//, "");
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    child.stderr.pipe(createWriteStream(`${dir}/${name}.log`));
    if (name !== "degas") child.stdout.resume();
    child.on("exit", (code, signal) => {
      if (!this.stopping) console.error(`${name} ended: status ${code ?? signal}; its log is ${dir}/${name}.log`);
    });
    process.on("exit", () => child.kill("SIGKILL")); // nothing is left behind, however this ends
    this.#running.push(child);
    return child;
  }

  // dig asks degas-dns, as a client does: the status of the answer, and the addresses in it.
  async dig(name) {
    const { stdout } = await run("dig", ["@127.0.0.1", "-p", String(this.dns), "+tries=1", "+time=2", name, "A"])
      .catch((e) => ({ stdout: e.stdout ?? "" }));
    return {
      status: /status: (\w+)/.exec(stdout)?.[1] ?? "none",
      addresses: [...stdout.matchAll(/^[^;\s]\S*\s+\d+\s+IN\s+A\s+(\S+)$/gm)].map((m) => m[1]),
    };
  }

  // post sends events to degas serve, as a name server does.
  async post(events) {
    const body = events.map((e) => JSON.stringify({ kind: "query", time: new Date().toISOString(), ...e })).join("\n");
    const answer = await fetch(`${this.url}/v1/events`, { method: "POST", body });
    const said = await answer.json();
    if (!answer.ok || said.accepted !== events.length) throw new Error(`POST /v1/events: ${JSON.stringify(said)}`);
  }

  // get asks degas serve's API.
  async get(path) {
    const answer = await fetch(this.url + path);
    if (!answer.ok) throw new Error(`${path}: status ${answer.status}`);
    return answer.json();
  }

  async stop() {
    this.stopping = true;
    await Promise.all(this.#running.filter((c) => c.exitCode === null && c.signalCode === null).map((c) => {
      const gone = once(c, "exit");
      c.kill("SIGTERM");
      const last = setTimeout(() => c.kill("SIGKILL"), 15000);
      return gone.then(() => clearTimeout(last));
    }));
  }
}
