// The exported network in ONNX Runtime: WebAssembly, one thread.

export class Policy {
  static async load() {
    const [ort, manifest, bytes] = await Promise.all([
      import("./vendor/ort.wasm.min.mjs"),
      fetch("policy/policy.json").then((response) => response.json()),
      fetch("policy/policy.onnx").then((response) => response.arrayBuffer()),
    ]);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = new URL("./vendor/", import.meta.url).href;
    const session = await ort.InferenceSession.create(new Uint8Array(bytes), { executionProviders: ["wasm"] });
    return new Policy(manifest, session, ort);
  }

  constructor(manifest, session, ort) {
    this.manifest = manifest;
    this.layout = manifest.observation.layout;
    this.action = manifest.action;
    this.session = session;
    this.Tensor = ort.Tensor;
  }

  /** The action, (size) in [-1, 1], of one raw observation; the normaliser is inside the network. */
  async act(observation) {
    const feed = { observation: new this.Tensor("float32", observation, [1, observation.length]) };
    const { action } = await this.session.run(feed, ["action"]);
    return Float64Array.from(action.data);
  }
}
