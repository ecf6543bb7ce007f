// An LSTM whose input half is a table of rows [4·units], looked up by code or by position, after Keras: gates i, f, c, o. A
// block walks 32 names through all steps, its states on chip.
#include "common.cuh"

constexpr int NAMES = 32;

// Walk says what a kernel walks over: names b, steps t and the row of the table that each step reads. Gates and the states
// before each step are kept as [batch, time, ...] in the order of the input.
struct Walk {
  const unsigned char* codes; // null where rows are found by position
  int batch, time, units, reverse;

  __device__ __forceinline__ int name(int row) const { return blockIdx.x * NAMES + row; }
  __device__ __forceinline__ long long place(int b, int t) const { return (long long)b * time + (reverse ? time - 1 - t : t); }
  __device__ __forceinline__ long long row(int b, int t) const {
    long long at = place(b, t);
    return (codes ? codes[at] : at) * 4 * units;
  }
};

// Exact and Quick are the gates' functions. Quick's absolute errors, below 5e-7, vanish beside what products in bf16 lose, and it takes
// no branches: a step of the recurrence waits for these functions more than for its products.
struct Exact {
  static __device__ __forceinline__ float sigma(float x) { return sigmoid(x); }
  static __device__ __forceinline__ float tanh(float x) { return tanhf(x); }
};

struct Quick {
  static __device__ __forceinline__ float sigma(float x) { return reciprocal(1.f + power_of_two(-1.4426950408889634f * x)); }
  static __device__ __forceinline__ float tanh(float x) { return 1.f - 2.f * reciprocal(1.f + power_of_two(2.885390081777927f * x)); }
};

// Cell is one unit of one name.
template <class Gates> struct Cell {
  float i, f, g, o, c, h; // gates, and the state after the step

  __device__ __forceinline__ void step(float zi, float zf, float zg, float zo, float before) {
    i = Gates::sigma(zi);
    f = Gates::sigma(zf);
    g = Gates::tanh(zg);
    o = Gates::sigma(zo);
    c = f * before + i * g;
    h = o * Gates::tanh(c);
  }

  // back turns the gates into the gradients of what they were made of; dc becomes that of the state before.
  __device__ __forceinline__ void back(float before, float dh, float& dc) {
    float th = Gates::tanh(f * before + i * g), d = dc + dh * o * (1.f - th * th);
    dc = d * f;
    float di = d * g * i * (1.f - i), df = d * before * f * (1.f - f), dg = d * i * (1.f - g * g);
    o = dh * th * o * (1.f - o);
    i = di;
    f = df;
    g = dg;
  }

  __device__ __forceinline__ void save(float* z, int units) const {
    z[0] = i;
    z[units] = f;
    z[2 * units] = g;
    z[3 * units] = o;
  }

  __device__ __forceinline__ void restore(const float* z, int units) {
    i = z[0];
    f = z[units];
    g = z[2 * units];
    o = z[3 * units];
  }
};

constexpr int GROUPS = 4, EACH_ROWS = NAMES / GROUPS;

// lstm_forward_fp32 takes up to 128 units: a block is [units rounded up to a warp, GROUPS] threads, each one unit of
// EACH_ROWS names. With save it keeps the gates z and the states before each step for the way back; last [batch, units] is the
// output.
extern "C" __global__ void __launch_bounds__(512) lstm_forward_fp32(float* z, float* hBefore, float* cBefore, float* last, const float* table, const float* u,
                                             const unsigned char* codes, int batch, int time, int units, int reverse, int save) {
  DYNAMIC_SHARED(float, h); // [NAMES, units]
  Walk walk{codes, batch, time, units, reverse};
  int q = threadIdx.x, r0 = threadIdx.y * EACH_ROWS;
  bool works = q < units;
  float c[EACH_ROWS] = {};
  if (works)
    for (int r = r0; r < r0 + EACH_ROWS; r++) h[r * units + q] = 0.f;
  __syncthreads();
  for (int t = 0; t < time; t++) {
    float sum[4][EACH_ROWS];
    if (works) {
#pragma unroll
      for (int r = 0; r < EACH_ROWS; r++) {
        int b = walk.name(r0 + r);
#pragma unroll
        for (int g = 0; g < 4; g++) sum[g][r] = b < batch ? table[walk.row(b, t) + g * units + q] : 0.f;
      }
      for (int k = 0; k < units; k++) {
        const float* row = u + (long long)k * 4 * units + q;
        float w[4] = {row[0], row[units], row[2 * units], row[3 * units]};
#pragma unroll
        for (int r = 0; r < EACH_ROWS; r++) {
          float v = h[(r0 + r) * units + k];
#pragma unroll
          for (int g = 0; g < 4; g++) sum[g][r] += v * w[g];
        }
      }
    }
    __syncthreads(); // everyone has read the states
    if (works) {
#pragma unroll
      for (int r = 0; r < EACH_ROWS; r++) {
        int b = walk.name(r0 + r);
        float* state = h + (r0 + r) * units + q;
        Cell<Exact> cell;
        cell.step(sum[0][r], sum[1][r], sum[2][r], sum[3][r], c[r]);
        if (save && b < batch) {
          long long at = walk.place(b, t);
          cell.save(z + at * 4 * units + q, units);
          hBefore[at * units + q] = *state;
          cBefore[at * units + q] = c[r];
        }
        c[r] = cell.c;
        *state = cell.h;
      }
    }
    __syncthreads();
  }
  if (works)
    for (int r = r0; r < r0 + EACH_ROWS; r++)
      if (walk.name(r) < batch) last[(long long)walk.name(r) * units + q] = h[r * units + q];
}

// lstm_backward_fp32 turns the gates z into the gradients of their pre-activations. ut is the recurrent matrix transposed,
// [4·units, units].
extern "C" __global__ void __launch_bounds__(512) lstm_backward_fp32(float* z, const float* cBefore, const float* dLast, const float* ut, int batch, int time, int units, int reverse) {
  DYNAMIC_SHARED(float, dz); // [NAMES, 4·units]
  Walk walk{nullptr, batch, time, units, reverse};
  int q = threadIdx.x, r0 = threadIdx.y * EACH_ROWS;
  bool works = q < units;
  float dh[EACH_ROWS] = {}, dc[EACH_ROWS] = {};
  if (works)
    for (int r = 0; r < EACH_ROWS; r++)
      if (walk.name(r0 + r) < batch) dh[r] = dLast[(long long)walk.name(r0 + r) * units + q];
  for (int t = time - 1; t >= 0; t--) {
    if (works) {
#pragma unroll
      for (int r = 0; r < EACH_ROWS; r++) {
        int b = walk.name(r0 + r);
        Cell<Exact> cell = {};
        if (b < batch) {
          long long at = walk.place(b, t);
          float* gates = z + at * 4 * units + q;
          cell.restore(gates, units);
          cell.back(cBefore[at * units + q], dh[r], dc[r]);
          cell.save(gates, units);
        }
        cell.save(dz + (r0 + r) * 4 * units + q, units);
        dh[r] = 0.f;
      }
    }
    __syncthreads();
    if (works)
      for (int k = 0; k < 4 * units; k++) {
        float w = ut[(long long)k * units + q];
#pragma unroll
        for (int r = 0; r < EACH_ROWS; r++) dh[r] += dz[(r0 + r) * 4 * units + k] * w;
      }
    __syncthreads();
  }
}

// Lane is a thread's place in the tiles of the tensor cores: of the warp's eight units it has two, of the names four, in the
// order of an accumulator's registers.
struct Lane {
  int g, t, unit; // unit is the first of the two

  __device__ __forceinline__ Lane() : g(threadIdx.x % 32 / 4), t(threadIdx.x % 4), unit(threadIdx.x / 32 * 8 + threadIdx.x % 4 * 2) {}
  __device__ __forceinline__ int row(int tile, int r) const { return tile * 16 + g + r / 2 * 8; }
};

// A lane's two units lie next to each other in memory.
__device__ __forceinline__ float2& pair_at(float* x) { return *reinterpret_cast<float2*>(x); }
__device__ __forceinline__ float2 pair_at(const float* x) { return *reinterpret_cast<const float2*>(x); }

__device__ __forceinline__ void save_pair(const Cell<Quick> (&cell)[2], float* z, int units) {
  pair_at(z) = make_float2(cell[0].i, cell[1].i);
  pair_at(z + units) = make_float2(cell[0].f, cell[1].f);
  pair_at(z + 2 * units) = make_float2(cell[0].g, cell[1].g);
  pair_at(z + 3 * units) = make_float2(cell[0].o, cell[1].o);
}

__device__ __forceinline__ void restore_pair(Cell<Quick> (&cell)[2], const float* z, int units) {
  float2 i = pair_at(z), f = pair_at(z + units), g = pair_at(z + 2 * units), o = pair_at(z + 3 * units);
  cell[0] = {i.x, f.x, g.x, o.x, 0.f, 0.f};
  cell[1] = {i.y, f.y, g.y, o.y, 0.f, 0.f};
}

// The bf16 kernels hold the recurrent matrix in registers: a warp has eight units, with all their gates on the way there and
// all the gates they feed on the way back. A block is 4·UNITS threads. Products are in bf16, sums and states in fp32.
template <int UNITS>
__device__ __forceinline__ void forward(float* z, float* hBefore, float* cBefore, float* last, const float* table, const float* u, const unsigned char* codes,
                                        int batch, int time, int reverse, int save) {
  __shared__ unsigned h[NAMES][UNITS / 2 + 4]; // pairs of bf16; the 4 keep a warp's reads in different banks
  Walk walk{codes, batch, time, UNITS, reverse};
  Lane lane;
  unsigned w[UNITS / 16][4][2];
#pragma unroll
  for (int k = 0; k < UNITS / 16; k++)
#pragma unroll
    for (int gate = 0; gate < 4; gate++)
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const float* at = u + (long long)(k * 16 + r * 8 + lane.t * 2) * 4 * UNITS + gate * UNITS + threadIdx.x / 32 * 8 + lane.g;
        w[k][gate][r] = pack_bf16(at[0], at[4 * UNITS]);
      }
  for (int e = threadIdx.x; e < NAMES * (UNITS / 2 + 4); e += 4 * UNITS) h[e / (UNITS / 2 + 4)][e % (UNITS / 2 + 4)] = 0;
  if (save)
#pragma unroll
    for (int r = 0; r < 4; r++) {
      int b = walk.name(lane.row(r / 2, r % 2 * 2));
      if (b < batch) pair_at(hBefore + walk.place(b, 0) * UNITS + lane.unit) = make_float2(0.f, 0.f);
    }
  float c[2][4] = {};
  __syncthreads();
  for (int t = 0; t < time; t++) {
    float sum[2][4][4];
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int b = walk.name(lane.row(i, half * 2));
        const float* row = table + walk.row(b < batch ? b : batch - 1, t) + lane.unit; // beyond the last nothing is kept
#pragma unroll
        for (int gate = 0; gate < 4; gate++) {
          float2 v = pair_at(row + gate * UNITS);
          sum[i][gate][half * 2] = v.x;
          sum[i][gate][half * 2 + 1] = v.y;
        }
      }
#pragma unroll
    for (int k = 0; k < UNITS / 16; k++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        unsigned a[4];
#pragma unroll
        for (int r = 0; r < 4; r++) a[r] = h[i * 16 + lane.g + r % 2 * 8][k * 8 + r / 2 * 4 + lane.t];
#pragma unroll
        for (int gate = 0; gate < 4; gate++) mma_bf16(sum[i][gate], a, w[k][gate]);
      }
    __syncthreads(); // everyone has read the states
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int b = walk.name(lane.row(i, half * 2)), r = half * 2;
        Cell<Quick> cell[2];
#pragma unroll
        for (int q = 0; q < 2; q++) cell[q].step(sum[i][0][r + q], sum[i][1][r + q], sum[i][2][r + q], sum[i][3][r + q], c[i][r + q]);
        if (save && b < batch) {
          long long at = walk.place(b, t);
          save_pair(cell, z + at * 4 * UNITS + lane.unit, UNITS);
          pair_at(cBefore + at * UNITS + lane.unit) = make_float2(c[i][r], c[i][r + 1]);
          if (t + 1 < time) pair_at(hBefore + walk.place(b, t + 1) * UNITS + lane.unit) = make_float2(cell[0].h, cell[1].h);
        }
        if (t + 1 == time && b < batch) pair_at(last + (long long)b * UNITS + lane.unit) = make_float2(cell[0].h, cell[1].h);
#pragma unroll
        for (int q = 0; q < 2; q++) c[i][r + q] = cell[q].c;
        h[lane.row(i, r)][lane.unit / 2] = pack_bf16(cell[0].h, cell[1].h);
      }
    __syncthreads();
  }
}

template <int UNITS>
__device__ __forceinline__ void backward(float* z, const float* cBefore, const float* dLast, const float* u, int batch, int time, int reverse) {
  __shared__ unsigned dz[NAMES][2 * UNITS + 4];
  Walk walk{nullptr, batch, time, UNITS, reverse};
  Lane lane;
  unsigned w[UNITS / 4][2];
#pragma unroll
  for (int k = 0; k < UNITS / 4; k++)
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float* at = u + (long long)(threadIdx.x / 32 * 8 + lane.g) * 4 * UNITS + k * 16 + r * 8 + lane.t * 2;
      w[k][r] = pack_bf16(at[0], at[1]);
    }
  float dh[2][4], dc[2][4] = {};
#pragma unroll
  for (int i = 0; i < 2; i++)
#pragma unroll
    for (int r = 0; r < 4; r++) {
      int b = walk.name(lane.row(i, r));
      dh[i][r] = b < batch ? dLast[(long long)b * UNITS + lane.unit + r % 2] : 0.f;
    }
  for (int t = time - 1; t >= 0; t--) {
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int b = walk.name(lane.row(i, half * 2));
        Cell<Quick> cell[2] = {};
        if (b < batch) {
          long long at = walk.place(b, t);
          float* gates = z + at * 4 * UNITS + lane.unit;
          restore_pair(cell, gates, UNITS);
          float2 before = pair_at(cBefore + at * UNITS + lane.unit);
          cell[0].back(before.x, dh[i][half * 2], dc[i][half * 2]);
          cell[1].back(before.y, dh[i][half * 2 + 1], dc[i][half * 2 + 1]);
          save_pair(cell, gates, UNITS);
        }
        unsigned* row = dz[lane.row(i, half * 2)] + lane.unit / 2;
        row[0] = pack_bf16(cell[0].i, cell[1].i);
        row[UNITS / 2] = pack_bf16(cell[0].f, cell[1].f);
        row[UNITS] = pack_bf16(cell[0].g, cell[1].g);
        row[3 * UNITS / 2] = pack_bf16(cell[0].o, cell[1].o);
      }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int r = 0; r < 4; r++) dh[i][r] = 0.f;
#pragma unroll
    for (int k = 0; k < UNITS / 4; k++)
#pragma unroll
      for (int i = 0; i < 2; i++) {
        unsigned a[4];
#pragma unroll
        for (int r = 0; r < 4; r++) a[r] = dz[i * 16 + lane.g + r % 2 * 8][k * 8 + r / 2 * 4 + lane.t];
        mma_bf16(dh[i], a, w[k]);
      }
    __syncthreads();
  }
}

#define LSTM(UNITS)                                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(4 * UNITS)                                                                                              \
      lstm_forward_bf16_##UNITS(float* z, float* hBefore, float* cBefore, float* last, const float* table, const float* u, const unsigned char* codes, \
                                int batch, int time, int units, int reverse, int save) {                                                               \
    forward<UNITS>(z, hBefore, cBefore, last, table, u, codes, batch, time, reverse, save);                                                            \
  }                                                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(4 * UNITS)                                                                                              \
      lstm_backward_bf16_##UNITS(float* z, const float* cBefore, const float* dLast, const float* u, int batch, int time, int units, int reverse) {    \
    backward<UNITS>(z, cBefore, dLast, u, batch, time, reverse);                                                                                       \
  }

LSTM(32)
LSTM(64)
LSTM(128)
