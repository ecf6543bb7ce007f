// An LSTM of 32, 64 or 128 units on the tensor cores: products in bf16, sums and states in fp32.
//
// A block of 4·UNITS threads walks its names in two halves of 16, which do not depend on each other: while one half's
// gates are computed, by the units for powers and quotients, the tensor cores have the other's products. The recurrent
// matrix stays in registers.
//
// What the way back needs is kept in the order in which threads hold it, so that every access is whole lines: gates
// [blocks, time, 2 halves, 2, threads] of 16 bytes, the pairs i, f, g, o of a lane's two units of one name; states
// before each step [blocks, time, 2 halves, threads] of 8 bytes. Both are f16: gates lie in [-1, 1], states within the
// number of steps.
#include "lstm.cuh"

constexpr int HALF = NAMES / 2;

// The place of what this thread keeps of a half of a step, of a block of 4·UNITS threads. 32 bits are enough, as
// newLSTM sees to, and take fewer registers, of which there are hardly enough.
template <int UNITS> __device__ __forceinline__ unsigned state_at(int time, int t, int half) {
  return ((blockIdx.x * time + t) * 2 + half) * (4 * UNITS) + threadIdx.x;
}

template <int UNITS> __device__ __forceinline__ unsigned gates_at(int time, int t, int half, int r) {
  return (((blockIdx.x * time + t) * 2 + half) * 2 + r) * (4 * UNITS) + threadIdx.x;
}

// The table is kept times what turns e^x to 2^x: negative for the gates 1 / (1 + e^-x), double for tanh(x) = 1 - 2 / (1
// + e^2x).
constexpr float SIGMA_SCALE = -1.4426950408889634f, TANH_SCALE = 2.885390081777927f;
__device__ __forceinline__ constexpr float gate_scale(int gate) { return gate == 2 ? TANH_SCALE : SIGMA_SCALE; }

// lstm_rows_bf16 writes the table [count, 4·units] as the forward kernels read it: [count, units/2] of 16 bytes, the
// scaled pairs i, f, g, o of two units in f16, whose rounding is an eighth of bf16's.
extern "C" __global__ void lstm_rows_bf16(uint4* rows, const float* table, int count, int units) {
  EACH(i, (long long)count * (units / 2)) {
    const float* at = table + i / (units / 2) * 4 * units + i % (units / 2) * 2;
    unsigned pairs[4];
#pragma unroll
    for (int gate = 0; gate < 4; gate++)
      pairs[gate] = pack_f16(gate_scale(gate) * at[gate * units], gate_scale(gate) * at[gate * units + 1]);
    rows[i] = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
  }
}

__device__ __forceinline__ float quick_tanh(float x) {
  return 1.f - 2.f * reciprocal(1.f + power_of_two(TANH_SCALE * x));
}

__device__ __forceinline__ float divisor(float z) { return 1.f + power_of_two(smaller(z, 30.f)); }

// quick_gates takes scaled pre-activations. A step waits for powers and quotients more than for its products, so the
// four share one quotient. The product of their divisors stays finite because powers end at 2^30: a gate below 1e-9 is
// 0. Absolute errors, below 1e-6, vanish beside what products in bf16 lose.
__device__ __forceinline__ Gates quick_gates(float zi, float zf, float zg, float zo) {
  float a = divisor(zi), b = divisor(zf), c = divisor(zg), d = divisor(zo);
  float ab = a * b, cd = c * d, all = reciprocal(ab * cd), byAB = all * cd, byCD = all * ab;
  return {byAB * b, byAB * a, 1.f - 2.f * (byCD * d), byCD * c};
}

// Lane is a thread's place in the tiles of the tensor cores: of the warp's eight units it has two, of a half's names
// two, 8 apart.
struct Lane {
  int warp, g, t;

  __device__ __forceinline__ Lane() : warp(threadIdx.x / 32), g(threadIdx.x % 32 / 4), t(threadIdx.x % 4) {}
  __device__ __forceinline__ int unit() const { return warp * 8 + t * 2; } // the first of the two
};

// rows_of_a is where a lane points ldmatrix at for the 16 x 16 matrix a of bf16 pairs at tile.
template <int PITCH> __device__ __forceinline__ const unsigned* rows_of_a(unsigned (*tile)[PITCH]) {
  return &tile[threadIdx.x % 16][threadIdx.x % 32 / 16 * 4];
}

// Onward walks forward. Its calls name a half, known to the compiler.
template <int UNITS> struct Onward {
  static constexpr int THREADS = 4 * UNITS, PITCH = UNITS / 2 + 4; // the 4 keep rows in different banks

  Walk walk;
  Lane lane;
  const uint4* rows;
  unsigned (*h)[PITCH];       // [NAMES] pairs of bf16
  const unsigned char* codes; // [time, NAMES]
  unsigned w[UNITS / 16][4][2];
  float sum[4][4];  // scaled pre-activations of the half that was multiplied last, by gate
  float c[2][4];    // states by half
  uint4 next[2][2]; // rows of the table that a half's next products are added to; after the last step its outputs

  // load takes the recurrent matrix [UNITS, 4·UNITS].
  __device__ __forceinline__ void load(const float* u) {
#pragma unroll
    for (int k = 0; k < UNITS / 16; k++)
#pragma unroll
      for (int gate = 0; gate < 4; gate++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
          const float* from =
              u + (long long)(k * 16 + r * 8 + lane.t * 2) * 4 * UNITS + gate * UNITS + lane.warp * 8 + lane.g;
          w[k][gate][r] = pack_bf16(gate_scale(gate) * from[0], gate_scale(gate) * from[4 * UNITS]);
        }
  }

  // name is the r-th that the lane has of a half.
  __device__ __forceinline__ int name(int half, int r) const { return walk.name(half * HALF + r * 8 + lane.g); }

  // read brings the codes of all steps to where a warp gets those of a step at once.
  __device__ __forceinline__ void read(unsigned char* to) {
    codes = to;
    if (walk.codes)
      for (int e = threadIdx.x; e < NAMES * walk.time; e += THREADS)
        to[e % walk.time * NAMES + e / walk.time] =
            walk.row(min(walk.name(e / walk.time), walk.batch - 1), e % walk.time);
  }

  // ask asks for the rows of step t. Names beyond the last repeat it; nothing of theirs is used.
  __device__ __forceinline__ void ask(int half, int t) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      unsigned row = walk.codes ? codes[t * NAMES + half * HALF + r * 8 + lane.g]
                                : walk.place(min(name(half, r), walk.batch - 1), t);
      next[half][r] = rows[row * (UNITS / 2) + lane.unit() / 2];
    }
  }

  // multiply computes the pre-activations of a half's next step.
  __device__ __forceinline__ void multiply(int half) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      uint4 row = next[half][r];
      unsigned pairs[4] = {row.x, row.y, row.z, row.w};
#pragma unroll
      for (int gate = 0; gate < 4; gate++) {
        float2 z = unpack_f16(pairs[gate]);
        sum[gate][r * 2] = z.x;
        sum[gate][r * 2 + 1] = z.y;
      }
    }
    const unsigned* from = rows_of_a(h + half * HALF);
#pragma unroll
    for (int k = 0; k < UNITS / 16; k++) {
      unsigned a[4];
      ldmatrix(a, from + k * 8);
#pragma unroll
      for (int gate = 0; gate < 4; gate++) mma_bf16(sum[gate], a, w[k][gate]);
    }
  }

  // keep writes a half's states h before step t to hBefore [cells, UNITS], in bf16 as the products take them. Half of
  // the threads do.
  __device__ __forceinline__ void keep(uint4* hBefore, int half, int t) const {
    constexpr int ROW = UNITS / 8;
    int e = threadIdx.x - half * (THREADS / 2), row = e / ROW + half * HALF;
    if (e < 0 || e >= THREADS / 2 || walk.name(row) >= walk.batch) return;
    hBefore[(unsigned)walk.place(walk.name(row), t) * ROW + e % ROW] =
        *reinterpret_cast<const uint4*>(&h[row][e % ROW * 4]);
  }

  // step finishes step t of a half, and keeps what the way back needs.
  __device__ __forceinline__ void step(int half, int t, uint4* gates, uint2* states, int save) {
    if (save)
      states[state_at<UNITS>(walk.time, t, half)] =
          make_uint2(pack_f16(c[half][0], c[half][1]), pack_f16(c[half][2], c[half][3]));
#pragma unroll
    for (int r = 0; r < 2; r++) {
      Gates of[2];
      float out[2];
#pragma unroll
      for (int q = 0; q < 2; q++) {
        int e = r * 2 + q;
        of[q] = quick_gates(sum[0][e], sum[1][e], sum[2][e], sum[3][e]);
        c[half][e] = of[q].state(c[half][e]);
        out[q] = of[q].o * quick_tanh(c[half][e]);
      }
      h[half * HALF + r * 8 + lane.g][lane.unit() / 2] = pack_bf16(out[0], out[1]);
      next[half][r].x = __float_as_uint(out[0]);
      next[half][r].y = __float_as_uint(out[1]);
      if (save)
        gates[gates_at<UNITS>(walk.time, t, half, r)] =
            make_uint4(pack_f16(of[0].i, of[1].i), pack_f16(of[0].f, of[1].f), pack_f16(of[0].g, of[1].g),
                       pack_f16(of[0].o, of[1].o));
    }
  }

  // end writes a half's last outputs.
  __device__ __forceinline__ void end(int half, float* last) const {
#pragma unroll
    for (int r = 0; r < 2; r++)
      if (name(half, r) < walk.batch)
        *reinterpret_cast<float2*>(last + (long long)name(half, r) * UNITS + lane.unit()) =
            make_float2(__uint_as_float(next[half][r].x), __uint_as_float(next[half][r].y));
  }
};

template <int UNITS>
__device__ __forceinline__ void forward(unsigned char* shared, uint4* gates, uint2* states, uint4* hBefore, float* last,
                                        const uint4* rows, const float* u, const unsigned char* codes, int batch,
                                        int time, int reverse, int save) {
  using Way = Onward<UNITS>;
  Way way = {Walk{codes, batch, time, reverse}, Lane(), rows, reinterpret_cast<unsigned (*)[Way::PITCH]>(shared)};
  way.read(shared + NAMES * Way::PITCH * 4);
  way.load(u);
  for (int e = threadIdx.x; e < NAMES * Way::PITCH; e += Way::THREADS) way.h[e / Way::PITCH][e % Way::PITCH] = 0;
  __syncthreads();
  way.ask(0, 0);
  way.ask(1, 0);
  way.multiply(0);
  if (save) way.keep(hBefore, 0, 0);
  __syncthreads();
#pragma unroll 1
  for (int t = 0; t < time; t++) {
    way.step(0, t, gates, states, save);
    if (t + 1 < time) way.ask(0, t + 1);
    way.multiply(1);
    if (save) way.keep(hBefore, 1, t);
    __syncthreads();
    way.step(1, t, gates, states, save);
    if (t + 1 < time) {
      way.ask(1, t + 1);
      way.multiply(0);
      if (save) way.keep(hBefore, 0, t + 1);
    }
    __syncthreads();
  }
  way.end(0, last);
  way.end(1, last);
}

// Back walks back. Of the product with the recurrent matrix transposed, [4·UNITS, UNITS], a warp has 32 units by one
// gate: with eight units by all gates, as in Onward, every warp would read all of dz from shared memory, which took
// longer than the rest. The four gates' parts meet in shared memory.
template <int UNITS> struct Back {
  static constexpr int THREADS = 4 * UNITS, PITCH = 2 * UNITS + 4;

  Walk walk;
  Lane lane;
  unsigned (*dz)[PITCH];      // [NAMES] pairs of bf16
  float4 (*part)[4][THREADS]; // by half and gate: the parts of dh, to the threads whose units they are
  unsigned w[UNITS / 16][4][2];
  float dc[2][4];    // gradients of the states, by half
  uint4 gates[2][2]; // of the next step of a half
  uint2 states[2];

  __device__ __forceinline__ void load(const float* u) {
#pragma unroll
    for (int k = 0; k < UNITS / 16; k++)
#pragma unroll
      for (int n = 0; n < 4; n++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
          const float* from = u + (lane.warp / 4 * 32 + n * 8 + lane.g) * 4 * UNITS + lane.warp % 4 * UNITS + k * 16 +
                              r * 8 + lane.t * 2;
          w[k][n][r] = pack_bf16(from[0], from[1]);
        }
  }

  // begin takes the gradient of the last states: zeros beyond the last name, which then stay.
  __device__ __forceinline__ void begin(int half, const float* dLast) {
    float dh[4];
#pragma unroll
    for (int r = 0; r < 4; r++) {
      int b = walk.name(half * HALF + r / 2 * 8 + lane.g);
      dh[r] = b < walk.batch ? dLast[(long long)b * UNITS + lane.unit() + r % 2] : 0.f;
      dc[half][r] = 0.f;
    }
    part[half][0][threadIdx.x] = make_float4(dh[0], dh[1], dh[2], dh[3]);
#pragma unroll
    for (int gate = 1; gate < 4; gate++) part[half][gate][threadIdx.x] = make_float4(0.f, 0.f, 0.f, 0.f);
  }

  // ask asks for what Onward kept of step t.
  __device__ __forceinline__ void ask(int half, int t, const uint4* allGates, const uint2* allStates) {
    states[half] = allStates[state_at<UNITS>(walk.time, t, half)];
#pragma unroll
    for (int r = 0; r < 2; r++) gates[half][r] = allGates[gates_at<UNITS>(walk.time, t, half, r)];
  }

  // step computes the gradients dz of the step that was asked for.
  __device__ __forceinline__ void step(int half) {
    float dh[4] = {};
#pragma unroll
    for (int gate = 0; gate < 4; gate++) {
      float4 more = part[half][gate][threadIdx.x];
      dh[0] += more.x;
      dh[1] += more.y;
      dh[2] += more.z;
      dh[3] += more.w;
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      uint4 kept = gates[half][r];
      float2 before = unpack_f16(r ? states[half].y : states[half].x);
      float2 i = unpack_f16(kept.x), f = unpack_f16(kept.y), g = unpack_f16(kept.z), o = unpack_f16(kept.w);
      Gates one = {i.x, f.x, g.x, o.x}, two = {i.y, f.y, g.y, o.y};
      one.back(quick_tanh(one.state(before.x)), before.x, dh[r * 2], dc[half][r * 2]);
      two.back(quick_tanh(two.state(before.y)), before.y, dh[r * 2 + 1], dc[half][r * 2 + 1]);
      unsigned* row = dz[half * HALF + r * 8 + lane.g] + lane.unit() / 2;
      row[0] = pack_bf16(one.i, two.i);
      row[UNITS / 2] = pack_bf16(one.f, two.f);
      row[UNITS] = pack_bf16(one.g, two.g);
      row[3 * UNITS / 2] = pack_bf16(one.o, two.o);
    }
  }

  // multiply computes the gate's part of what dz makes of dh, for the step before.
  __device__ __forceinline__ void multiply(int half) {
    float sum[4][4] = {};
    const unsigned* from = rows_of_a(dz + half * HALF) + lane.warp % 4 * (UNITS / 2);
#pragma unroll
    for (int k = 0; k < UNITS / 16; k++) {
      unsigned a[4];
      ldmatrix(a, from + k * 8);
#pragma unroll
      for (int n = 0; n < 4; n++) mma_bf16(sum[n], a, w[k][n]);
    }
#pragma unroll
    for (int n = 0; n < 4; n++) // to the warp of the same units
      part[half][lane.warp % 4][(lane.warp / 4 * 4 + n) * 32 + threadIdx.x % 32] =
          make_float4(sum[n][0], sum[n][1], sum[n][2], sum[n][3]);
  }

  // keep writes a half's dz of step t to out [cells, 4·UNITS].
  __device__ __forceinline__ void keep(uint4* out, int half, int t) const {
    constexpr int ROW = UNITS / 2;
    int row = half * HALF + threadIdx.x / ROW; // and the one 8 after it
    unsigned at = (unsigned)walk.place(walk.name(row), t) * ROW + threadIdx.x % ROW;
#pragma unroll
    for (int s = 0; s < HALF; s += 8)
      if (walk.name(row + s) < walk.batch)
        out[at + s * ROW * walk.time] = *reinterpret_cast<const uint4*>(&dz[row + s][threadIdx.x % ROW * 4]);
  }
};

template <int UNITS>
__device__ __forceinline__ void backward(unsigned char* shared, uint4* out, const uint4* gates, const uint2* states,
                                         const float* dLast, const float* u, int batch, int time, int reverse) {
  using Way = Back<UNITS>;
  Way way = {Walk{nullptr, batch, time, reverse}, Lane(), reinterpret_cast<unsigned (*)[Way::PITCH]>(shared),
             reinterpret_cast<float4 (*)[4][Way::THREADS]>(shared + NAMES * Way::PITCH * 4)};
  way.begin(0, dLast);
  way.begin(1, dLast);
  way.load(u);
  way.ask(0, time - 1, gates, states);
  way.ask(1, time - 1, gates, states);
  way.step(0);
  way.ask(0, max(time - 2, 0), gates, states);
  __syncthreads();
  // What the last round computes beyond the first step, without branches that would cost registers, nobody reads.
#pragma unroll 1
  for (int t = time - 1; t >= 0; t--) {
    way.step(1);
    way.ask(1, max(t - 1, 0), gates, states);
    way.multiply(0);
    way.keep(out, 0, t);
    __syncthreads();
    way.step(0);
    way.ask(0, max(t - 2, 0), gates, states);
    way.multiply(1);
    way.keep(out, 1, t);
    __syncthreads();
  }
}

#define LSTM(UNITS)                                                                                      \
  extern "C" __global__ void __launch_bounds__(4 * UNITS) lstm_forward_bf16_##UNITS(                     \
      uint4* gates, uint2* states, uint4* hBefore, float* last, const uint4* rows, const float* u,       \
      const unsigned char* codes, int batch, int time, int reverse, int save) {                          \
    DYNAMIC_SHARED(unsigned char, shared);                                                               \
    forward<UNITS>(shared, gates, states, hBefore, last, rows, u, codes, batch, time, reverse, save);    \
  }                                                                                                      \
  extern "C" __global__ void __launch_bounds__(4 * UNITS)                                                \
      lstm_backward_bf16_##UNITS(uint4* dz, const uint4* gates, const uint2* states, const float* dLast, \
                                 const float* u, int batch, int time, int reverse) {                     \
    DYNAMIC_SHARED(unsigned char, shared);                                                               \
    backward<UNITS>(shared, dz, gates, states, dLast, u, batch, time, reverse);                          \
  }

LSTM(32)
LSTM(64)
LSTM(128)
