// Bodies and floor under one sun with a shadow map, a sky, and no texture at all.

const HEAD = `#version 300 es
precision highp float;
`;

const PLACE = `
layout(location = 0) in vec3 point;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec3 corner;
uniform vec3 size, half_size, place;
uniform mat3 turn;
vec3 placed() { return turn * (point * size + corner * half_size) + place; }
`;

const LIGHT = `
uniform highp sampler2DShadow shadow;
uniform mat4 sun_view;
uniform vec3 sun, eye;
uniform float texel;
const vec3 SUN = vec3(1.55, 1.45, 1.30), SKY = vec3(0.52, 0.62, 0.75), GROUND = vec3(0.34, 0.33, 0.32);

float lit(vec3 at) {
  vec4 p = sun_view * vec4(at, 1.0);
  vec3 q = p.xyz / p.w * 0.5 + 0.5;
  if (any(greaterThan(abs(q - 0.5), vec3(0.5)))) return 1.0;
  float sum = 2.0 * texture(shadow, vec3(q.xy, q.z - 0.0006));
  for (int i = 0; i < 4; i++) {
    vec2 shift = (vec2(i & 1, i >> 1) - 0.5) * 3.0 * texel;
    sum += texture(shadow, vec3(q.xy + shift, q.z - 0.0006));
  }
  return sum / 6.0;
}

vec3 shown(vec3 linear) { return pow(linear / (1.0 + 0.22 * linear), vec3(1.0 / 2.2)); }

vec3 sky_towards(vec3 direction) {
  float up = clamp(direction.z, -0.2, 1.0);
  return mix(vec3(0.80, 0.86, 0.92), vec3(0.33, 0.53, 0.78), smoothstep(0.0, 0.65, up));
}
`;

export const BODY = {
  vertex: `${HEAD}${PLACE}
uniform mat4 view;
out vec3 at, facing;
void main() {
  at = placed();
  facing = turn * (normal / size);
  gl_Position = view * vec4(at, 1.0);
}`,
  fragment: `${HEAD}${LIGHT}
in vec3 at, facing;
uniform vec4 color;
uniform float emission;
out vec4 result;
void main() {
  vec3 n = normalize(facing), v = normalize(eye - at);
  float open = lit(at + 0.004 * n) * smoothstep(0.0, 0.08, dot(n, sun));
  float low = mix(0.55, 1.0, smoothstep(0.0, 0.25, at.z + 0.25 * n.z));
  vec3 base = pow(color.rgb, vec3(2.2));
  vec3 light = SUN * open * max(dot(n, sun), 0.0) + 0.62 * low * mix(GROUND, SKY, 0.5 + 0.5 * n.z);
  float shine = pow(max(dot(n, normalize(sun + v)), 0.0), 50.0) * 0.35 * open;
  float rim = pow(1.0 - max(dot(n, v), 0.0), 4.0) * 0.22 * low;
  result = vec4(shown(base * (light + 1.5 * emission) + shine + rim * SKY), color.a);
}`,
};

export const FLOOR = {
  vertex: `${HEAD}
layout(location = 0) in vec2 corner;
uniform mat4 view;
uniform vec2 middle;
out vec3 at;
void main() {
  at = vec3(middle + corner * 60.0, 0.0);
  gl_Position = view * vec4(at, 1.0);
}`,
  fragment: `${HEAD}${LIGHT}
in vec3 at;
uniform vec2 middle;
uniform float tile;
out vec4 result;
vec2 smooth_squares(vec2 p, vec2 w) { // integral of a square wave, so that far tiles fade instead of flickering
  vec2 a = p + 0.5 * w, b = p - 0.5 * w;
  return 2.0 * (abs(fract(a * 0.5) - 0.5) - abs(fract(b * 0.5) - 0.5)) / w;
}
float line(vec2 p, vec2 w, float wide) {
  vec2 d = abs(fract(p - 0.5) - 0.5);
  vec2 c = 1.0 - smoothstep(vec2(wide), vec2(wide) + w, d);
  return max(c.x, c.y);
}
void main() {
  vec2 p = at.xy / tile, w = max(fwidth(p), 1e-4);
  vec2 s = smooth_squares(p, w);
  float checker = 0.5 - 0.5 * s.x * s.y;
  vec3 base = mix(vec3(0.52, 0.55, 0.58), vec3(0.64, 0.67, 0.70), checker);
  base = mix(base, vec3(0.42, 0.46, 0.51), 0.5 * line(p * 0.5, w * 0.5, 0.006) * (1.0 - smoothstep(0.05, 0.4, max(w.x, w.y))));
  float open = lit(at);
  vec3 color = base * (SUN * open * sun.z * 0.72 + 0.62 * SKY);
  float away = length(at.xy - middle);
  vec3 direction = normalize(at - eye);
  result = vec4(shown(mix(color, sky_towards(vec3(direction.xy, 0.0)), smoothstep(4.0 * tile, 40.0 * tile, away))), 1.0);
}`,
};

export const SKY = {
  vertex: `${HEAD}
layout(location = 0) in vec2 corner;
uniform mat4 back;
out vec3 direction;
void main() {
  vec4 far = back * vec4(corner, 1.0, 1.0);
  direction = far.xyz / far.w;
  gl_Position = vec4(corner, 1.0, 1.0);
}`,
  fragment: `${HEAD}${LIGHT}
in vec3 direction;
out vec4 result;
void main() { result = vec4(shown(sky_towards(normalize(direction - eye))), 1.0); }`,
};

export const SHADOW = {
  vertex: `${HEAD}${PLACE}
uniform mat4 sun_view;
void main() { gl_Position = sun_view * vec4(placed(), 1.0); }`,
  fragment: `${HEAD}
void main() {}`,
};
