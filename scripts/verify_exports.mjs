// Runs an exported model in onnxruntime-web or TensorFlow.js on the codes of a JSON request on standard input, and prints
// what it answers: see check_node in verify_exports.py.
import { readFileSync } from "node:fs";

const request = JSON.parse(readFileSync(0, "utf8"));
const rows = request.ids.length, window = request.ids[0].length;
if (request.kind === "onnx") {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(readFileSync(`${request.dir}/model.onnx`));
  const ids = new ort.Tensor("int64", BigInt64Array.from(request.ids.flat(), (x) => BigInt(x)), [rows, window]);
  const out = await session.run({ [request.input]: ids });
  console.log(JSON.stringify({ score: [...out.score.data], probabilities: [...out.probabilities.data] }));
} else {
  console.warn = console.log = () => {};
  const tf = await import("@tensorflow/tfjs");
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
  const head = model.predict(tf.tensor2d(request.ids, [rows, window], "int32"), { batchSize: 64 });
  process.stdout.write(JSON.stringify({ head: [...(await head.data())] }) + "\n");
}
