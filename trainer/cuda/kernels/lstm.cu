// An LSTM in fp32, for any number of units up to 128.
#include "lstm.cuh"

// Cell is Gates in memory, units floats apart.
struct Cell : Gates {
  __device__ __forceinline__ void set(float zi, float zf, float zg, float zo) {
    i = sigmoid(zi);
    f = sigmoid(zf);
    g = tanhf(zg);
    o = sigmoid(zo);
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
// EACH_ROWS names. With save it keeps the gates z and the states before each step for the way back; last [batch, units]
// is the output.
extern "C" __global__ void __launch_bounds__(512)
    lstm_forward_fp32(float* z, float* hBefore, float* cBefore, float* last, const float* table, const float* u,
                      const unsigned char* codes, int batch, int time, int units, int reverse, int save) {
  DYNAMIC_SHARED(float, h); // [NAMES, units]
  Walk walk{codes, batch, time, reverse};
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
        for (int g = 0; g < 4; g++) sum[g][r] = b < batch ? table[walk.row(b, t) * 4 * units + g * units + q] : 0.f;
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
        Cell cell;
        cell.set(sum[0][r], sum[1][r], sum[2][r], sum[3][r]);
        if (save && b < batch) {
          long long at = walk.place(b, t);
          cell.save(z + at * 4 * units + q, units);
          hBefore[at * units + q] = *state;
          cBefore[at * units + q] = c[r];
        }
        c[r] = cell.state(c[r]);
        *state = cell.o * tanhf(c[r]);
      }
    }
    __syncthreads();
  }
  if (works)
    for (int r = r0; r < r0 + EACH_ROWS; r++)
      if (walk.name(r) < batch) last[(long long)walk.name(r) * units + q] = h[r * units + q];
}

// lstm_backward_fp32 turns the gates z into the gradients of their pre-activations. ut is the recurrent matrix
// transposed, [4·units, units].
extern "C" __global__ void __launch_bounds__(512)
    lstm_backward_fp32(float* z, const float* cBefore, const float* dLast, const float* ut, int batch, int time,
                       int units, int reverse) {
  DYNAMIC_SHARED(float, dz); // [NAMES, 4·units]
  Walk walk{nullptr, batch, time, reverse};
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
        Cell cell = {};
        if (b < batch) {
          long long at = walk.place(b, t);
          float* gates = z + at * 4 * units + q;
          cell.restore(gates, units);
          float before = cBefore[at * units + q];
          cell.back(tanhf(cell.state(before)), before, dh[r], dc[r]);
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
