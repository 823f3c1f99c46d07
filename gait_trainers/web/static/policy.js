// The exported networks in ONNX Runtime: WebAssembly, one thread.

import { fetchBytes, fetchJson, unpacked } from "./files.js";

/** ONNX Runtime, loaded once. */
let runtime = null;

async function load() {
  const name = "ort-wasm-simd-threaded";
  const [ort, wasm] = await Promise.all([import("./vendor/ort.wasm.min.mjs"), unpacked(`vendor/${name}.wasm.gz`)]);
  const folder = new URL("./vendor/", import.meta.url).href;
  Object.assign(ort.env.wasm, { numThreads: 1, wasmPaths: { mjs: `${folder}${name}.mjs` }, wasmBinary: wasm.buffer });
  return ort;
}

/** A graph with one input (1, size) and one output: a function of one row of float32 to another. */
export async function openNetwork(path, input, output) {
  runtime ??= load();
  const [ort, bytes] = await Promise.all([runtime, fetchBytes(path)]);
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  return async (row) => {
    const found = await session.run({ [input]: new ort.Tensor("float32", row, [1, row.length]) }, [output]);
    return found[output].data;
  };
}

export class Policy {
  static async load() {
    const [manifest, network] = await Promise.all([
      fetchJson("policy/policy.json"), openNetwork("policy/policy.onnx", "observation", "action"),
    ]);
    return new Policy(manifest, network);
  }

  constructor(manifest, network) {
    this.manifest = manifest;
    this.layout = manifest.observation.layout;
    this.action = manifest.action;
    this.network = network;
  }

  /** The action, in [-1, 1], of one raw observation; the normaliser is inside the network. */
  async act(observation) {
    return Float64Array.from(await this.network(observation));
  }
}
