// Draws primitive shapes on a floor, in WebGL 2.

import { ball, drum, stretch } from "./geometry.js";
import { add, lookAt, multiply, orthographic, perspective, times, unit } from "./matrix.js";
import { BODY, FLOOR, SHADOW, SKY } from "./shaders.js";

const SUN = unit([-0.35, -0.45, 1]);
const MAP = 2048; // pixels of the shadow map, a side
const COARSEST = 0.4; // least pixels for a CSS pixel
const FIELD = 0.7; // rad, vertical field of view

export class Renderer {
  /** `reach`: m, half the width of what casts shadows; `tile`: m, a square of the floor */
  constructor(canvas, { reach, tile }) {
    const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
    if (!gl) throw new Error("this browser has no WebGL 2");
    Object.assign(this, { canvas, gl, reach, tile });
    this.detail = Math.min(window.devicePixelRatio || 1, 2); // pixels drawn for a CSS pixel
    this.programs = Object.fromEntries(
      Object.entries({ body: BODY, floor: FLOOR, sky: SKY, shadow: SHADOW }).map(([name, text]) => [name, link(gl, text)]),
    );
    this.meshes = { ball: upload(gl, ball()), drum: upload(gl, drum()) };
    this.square = uploadSquare(gl);
    this.shadow = makeShadowMap(gl);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL); // the sky is as far as it gets
    gl.enable(gl.CULL_FACE);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Shapes with `place` (3) m and `turn` (9), MuJoCo's row by row, seen by a camera { eye, target }. */
  draw(shapes, camera) {
    this.fit();
    const { gl, canvas } = this;
    const solid = shapes.map((shape) => ({ ...shape, ...stretch(shape) }));
    const sunView = this.drawShadows(solid.filter((shape) => !shape.flat && shape.rgba[3] === 1), camera.target);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    const look = lookAt(camera.eye, camera.target);
    const project = perspective(FIELD, canvas.width / canvas.height, 0.02, 200);
    const view = multiply(project, look);
    const light = { sun_view: sunView, sun: SUN, eye: camera.eye, texel: 1 / MAP, shadow: 0 };
    gl.depthMask(false);
    this.use("sky", { ...light, back: backProjection(look, canvas.width / canvas.height, camera.eye) });
    this.drawSquare();
    gl.depthMask(true);
    this.use("floor", { ...light, view, middle: camera.target.slice(0, 2), tile: this.tile });
    this.drawSquare();
    this.use("body", { ...light, view });
    for (const shape of solid) if (shape.rgba[3] === 1) this.drawShape("body", shape);
    gl.enable(gl.BLEND);
    gl.depthMask(false);
    for (const shape of solid) if (shape.rgba[3] < 1) this.drawShape("body", shape);
    gl.depthMask(true);
    gl.disable(gl.BLEND);
  }

  drawShadows(shapes, target) {
    const { gl } = this;
    const centre = [target[0], target[1], this.reach * 0.4];
    const sunView = multiply(orthographic(this.reach, 0.1, 8 * this.reach), lookAt(add(centre, times(SUN, 4 * this.reach)), centre));
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadow.frame);
    gl.viewport(0, 0, MAP, MAP);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    this.use("shadow", { sun_view: sunView });
    for (const shape of shapes) this.drawShape("shadow", shape);
    return sunView;
  }

  drawShape(program, shape) {
    const { gl } = this;
    const { at } = this.programs[program];
    const mesh = this.meshes[shape.mesh];
    const r = shape.turn;
    gl.uniform3fv(at.size, shape.size);
    gl.uniform3fv(at.half_size, shape.half);
    gl.uniform3fv(at.place, shape.place);
    gl.uniformMatrix3fv(at.turn, false, [r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]]);
    if (at.color) gl.uniform4fv(at.color, shape.rgba);
    if (at.emission) gl.uniform1f(at.emission, shape.emission ?? 0);
    gl.bindVertexArray(mesh.array);
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_SHORT, 0);
  }

  drawSquare() {
    this.gl.bindVertexArray(this.square);
    this.gl.drawArrays(this.gl.TRIANGLES, 0, 6);
  }

  use(name, values) {
    const { gl } = this;
    const { program, at } = this.programs[name];
    gl.useProgram(program);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, name === "shadow" ? null : this.shadow.texture);
    for (const [key, value] of Object.entries(values)) {
      if (at[key] === undefined) continue;
      if (key === "shadow") gl.uniform1i(at[key], value);
      else if (typeof value === "number") gl.uniform1f(at[key], value);
      else if (value.length === 16) gl.uniformMatrix4fv(at[key], false, value);
      else gl[`uniform${value.length}fv`](at[key], value);
    }
  }

  /** Fewer pixels from now on, where drawing is what keeps the walk from real time. */
  coarsen() {
    this.detail = Math.max(0.75 * this.detail, COARSEST);
  }

  fit() {
    const { canvas, detail } = this;
    const width = Math.round(canvas.clientWidth * detail), height = Math.round(canvas.clientHeight * detail);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  }

  /** Direction of the ray through a point of the canvas, CSS pixels. */
  ray({ eye, target }, x, y) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const look = lookAt(eye, target), tall = Math.tan(FIELD / 2);
    const side = (2 * x / width - 1) * tall * (width / height), up = (1 - 2 * y / height) * tall;
    return unit([0, 1, 2].map((i) => side * look[4 * i] + up * look[4 * i + 1] - look[4 * i + 2]));
  }
}

/** From corners of the screen to points ahead of the eye. */
function backProjection(look, aspect, eye) {
  const tall = Math.tan(FIELD / 2), out = new Float32Array(16);
  for (let i = 0; i < 3; i++) {
    out[i] = look[4 * i] * tall * aspect;
    out[4 + i] = look[4 * i + 1] * tall;
    out[12 + i] = eye[i] - look[4 * i + 2];
  }
  out[15] = 1;
  return out;
}

function link(gl, { vertex, fragment }) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  const at = {};
  for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(program, i);
    at[name] = gl.getUniformLocation(program, name);
  }
  return { program, at };
}

function upload(gl, { vertices, indices }) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, vertices, gl.STATIC_DRAW);
  for (const location of [0, 1, 2]) {
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, 3, gl.FLOAT, false, 36, 12 * location);
  }
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
  return { array, count: indices.length };
}

function uploadSquare(gl) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, 1, 1, -1, -1, 1, 1, -1, 1]), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  return array;
}

function makeShadowMap(gl) {
  const texture = gl.createTexture(), frame = gl.createFramebuffer();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.DEPTH_COMPONENT24, MAP, MAP);
  const wanted = { MIN_FILTER: "LINEAR", MAG_FILTER: "LINEAR", WRAP_S: "CLAMP_TO_EDGE", WRAP_T: "CLAMP_TO_EDGE" };
  for (const [key, value] of Object.entries(wanted)) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${key}`], gl[value]);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_COMPARE_MODE, gl.COMPARE_REF_TO_TEXTURE);
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, texture, 0);
  return { texture, frame };
}
