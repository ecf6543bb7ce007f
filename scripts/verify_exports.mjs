// Runs an exported model in onnxruntime-web or TensorFlow.js on the codes of a JSON request on standard input, and
// prints what it answers, and how many seconds loading the model and scoring took: see check_node in verify_exports.py.
import { readFileSync } from "node:fs";

const request = JSON.parse(readFileSync(0, "utf8"));
const rows = request.ids.length, window = request.window;
const now = () => performance.now() / 1000;
const answer = (o) => process.stdout.write(JSON.stringify(o) + "\n");
if (request.kind === "onnx") {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  const start = now();
  const session = await ort.InferenceSession.create(readFileSync(`${request.dir}/model.onnx`));
  const loaded = now();
  const ids = new ort.Tensor("int64", BigInt64Array.from(request.ids.flat(), (x) => BigInt(x)), [rows, window]);
  const out = await session.run({ [request.input]: ids });
  const scored = now();
  const none = await session.run({ [request.input]: new ort.Tensor("int64", new BigInt64Array(0), [0, window]) });
  answer({
    score: [...out.score.data], probabilities: [...out.probabilities.data], empty: none.score.dims,
    load: loaded - start, run: scored - loaded,
  });
} else {
  console.warn = console.log = () => {};
  const tf = await import("@tensorflow/tfjs");
  const wasm = await import("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(`${process.cwd()}/node_modules/@tensorflow/tfjs-backend-wasm/dist/`);
  wasm.setThreadsCount(1);
  await tf.setBackend(request.backend);
  await tf.ready();
  const start = now();
  const dir = `${request.dir}/tfjs`;
  const config = JSON.parse(readFileSync(`${dir}/model.json`, "utf8"));
  const shard = readFileSync(`${dir}/${config.weightsManifest[0].paths[0]}`);
  const model = await tf.loadLayersModel({
    load: async () => ({
      modelTopology: config.modelTopology,
      weightSpecs: config.weightsManifest[0].weights,
      weightData: shard.buffer.slice(shard.byteOffset, shard.byteOffset + shard.byteLength),
    }),
  });
  const loaded = now();
  // A model of pictures takes numbers, [batch, height, width, 1].
  const input = (ids, count) =>
    tf.tensor(ids, [count, ...request.shape], request.shape.length > 1 ? "float32" : "int32");
  const head = await model.predict(input(request.ids.flat(), rows), { batchSize: 256 }).data();
  const scored = now();
  await tf.setBackend("cpu"); // the other divides by zero where there is nothing to take the maximum of
  answer({ head: [...head], empty: model.apply(input([], 0)).shape, load: loaded - start, run: scored - loaded });
}
