// Towers are up to eight valid convolutions over the embedding side by side, with as many filters each, of which a global maximum alone
// is wanted: y [batch, towers·filters]. Their tables follow each other by offset. The grid's third axis is the towers.
#include "common.cuh"

// Tower is the block's: its place among the towers, the length of its windows and its first offset among all towers'. kernels has a byte
// for each tower. The last come first: presets have the longest windows there, and blocks that take long should not be the last to begin.
struct Tower {
  int place, kernel, first;

  __device__ __forceinline__ Tower(unsigned long long kernels) : place(gridDim.z - 1 - blockIdx.z), kernel(kernels >> 8 * place & 255), first(0) {
    for (int z = 0; z < place; z++) first += kernels >> 8 * z & 255;
  }
};

// Reach is the windows of a name that can differ: those that lie wholly in padding are equal, so one of them is enough.
struct Reach {
  int from, to;

  __device__ __forceinline__ Reach(int chars, int window, int kernel, int left) : from(0), to(window - kernel) {
    if (left) from = to - chars > 0 ? to - chars : 0;
    else to = chars < to ? chars : to;
  }
};

// Best is the largest sum over a name's windows, and where it is.
struct Best {
  float sum;
  int at;
};

// best walks the windows of K codes, of which it keeps the places in registers. K 0 is any kernel.
template <int K> __device__ __forceinline__ Best best(const float* slice, const unsigned char* name, Reach reach, int rows, int kernel) {
  Best top = {0.f, reach.from};
  int place[K > 0 ? K : 1];
#pragma unroll
  for (int j = 1; j < K; j++) place[j] = name[reach.from + j - 1] * 32;
  for (int t = reach.from; t <= reach.to; t++) {
    float sum = 0.f;
    if (K > 0) {
#pragma unroll
      for (int j = 0; j + 1 < K; j++) place[j] = place[j + 1];
      place[K > 0 ? K - 1 : 0] = name[t + K - 1] * 32;
#pragma unroll
      for (int j = 0; j < K; j++) sum += slice[j * rows * 32 + place[j]];
    } else {
      for (int j = 0; j < kernel; j++) sum += slice[(j * rows + name[t + j]) * 32];
    }
    if (t == reach.from || sum > top.sum) top = {sum, t};
  }
  return top;
}

// conv_max is the towers, a bias and an activation, which must not fall; arg [batch, towers·filters] is where the maxima are. A block has 32
// filters; warps take names.
extern "C" __global__ void __launch_bounds__(512) conv_max(float* y, int yStride, int* arg, const float* table, const float* bias, const unsigned char* codes,
                                                           const int* chars, int batch, int window, int rows, unsigned long long kernels, int filters,
                                                           int left, int activation) {
  DYNAMIC_SHARED(float, slice);
  Tower tower(kernels);
  int lane = threadIdx.x % 32, f = blockIdx.x * 32 + lane, warps = blockDim.x / 32, column = tower.place * filters + f;
  stage(slice, table + (long long)tower.first * rows * filters, rows, tower.kernel, blockIdx.x * 32, filters);
  for (int b = blockIdx.y * warps + threadIdx.x / 32; b < batch; b += gridDim.y * warps) {
    const unsigned char* name = codes + (long long)b * window;
    Reach reach(chars[b], window, tower.kernel, left);
    Best top;
    switch (tower.kernel) {
    case 2: top = best<2>(slice + lane, name, reach, rows, 2); break;
    case 3: top = best<3>(slice + lane, name, reach, rows, 3); break;
    case 4: top = best<4>(slice + lane, name, reach, rows, 4); break;
    case 5: top = best<5>(slice + lane, name, reach, rows, 5); break;
    case 6: top = best<6>(slice + lane, name, reach, rows, 6); break;
    default: top = best<0>(slice + lane, name, reach, rows, tower.kernel);
    }
    if (f < filters) {
      y[(long long)b * yStride + column] = activated(top.sum + bias[column], activation);
      arg[(long long)b * gridDim.z * filters + column] = top.at;
    }
  }
}

// Where a table is kept in f16, which rounds it to as many bits as tf32 does, a lane has two filters at the price of one. LARGEST keeps the
// sum of 32 rows finite; NaN stays.
constexpr float LARGEST = 2000.f;

__device__ __forceinline__ float bounded(float x) { return x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x; }

// BestPair is Best of two filters.
struct BestPair {
  unsigned sum;
  int at[2];
};

template <int K> __device__ __forceinline__ BestPair best_pair(const unsigned* slice, const unsigned char* name, Reach reach, int rows, int kernel) {
  BestPair top = {0xfc00fc00u, {reach.from, reach.from}}; // twice minus infinity
  int place[K > 0 ? K : 1], coming = 0;
  if (K > 0) {
#pragma unroll
    for (int j = 1; j < K; j++) place[j] = name[reach.from + j - 1] * 32;
    coming = name[reach.from + K - 1];
  }
#pragma unroll 4
  for (int t = reach.from; t <= reach.to; t++) {
    unsigned sum;
    if (K > 0) {
#pragma unroll
      for (int j = 0; j + 1 < K; j++) place[j] = place[j + 1];
      place[K > 0 ? K - 1 : 0] = coming * 32;
      if (t < reach.to) coming = name[t + K]; // the next window's, long before it is needed
      sum = slice[place[0]];
#pragma unroll
      for (int j = 1; j < K; j++) sum = add_f16(sum, slice[j * rows * 32 + place[j]]);
    } else {
      sum = slice[name[t] * 32];
      for (int j = 1; j < kernel; j++) sum = add_f16(sum, slice[(j * rows + name[t + j]) * 32]);
    }
    note_larger_f16(sum, top.sum, t, top.at[0], top.at[1]);
    top.sum = max_f16(top.sum, sum);
  }
  return top;
}

__device__ __forceinline__ BestPair best_pair_of(const unsigned* slice, const unsigned char* name, Reach reach, int rows, int kernel) {
  switch (kernel) {
  case 2: return best_pair<2>(slice, name, reach, rows, 2);
  case 3: return best_pair<3>(slice, name, reach, rows, 3);
  case 4: return best_pair<4>(slice, name, reach, rows, 4);
  case 5: return best_pair<5>(slice, name, reach, rows, 5);
  case 6: return best_pair<6>(slice, name, reach, rows, 6);
  }
  return best_pair<0>(slice, name, reach, rows, kernel);
}

// conv_max_f16 is conv_max with tables in f16; a block has 64 filters. Without save nobody wants arg.
extern "C" __global__ void __launch_bounds__(512, 3) conv_max_f16(float* y, int yStride, int* arg, const float* table, const float* bias, const unsigned char* codes,
                                                                  const int* chars, int batch, int window, int rows, unsigned long long kernels, int filters,
                                                                  int left, int activation, int save) {
  DYNAMIC_SHARED(unsigned, slice); // [kernel][rows][32] pairs
  Tower tower(kernels);
  int lane = threadIdx.x % 32, f = blockIdx.x * 64 + lane * 2, warps = blockDim.x / 32, column = tower.place * filters + f;
  table += (long long)tower.first * rows * filters;
  for (int e = threadIdx.x; e < tower.kernel * rows * 32; e += blockDim.x) {
    const float* at = table + (long long)(e / 32) * filters + f;
    slice[e] = pack_f16(f < filters ? bounded(at[0]) : 0.f, f + 1 < filters ? bounded(at[1]) : 0.f);
  }
  __syncthreads();
  for (int b = blockIdx.y * warps + threadIdx.x / 32; b < batch; b += gridDim.y * warps) {
    BestPair top = best_pair_of(slice + lane, codes + (long long)b * window, Reach(chars[b], window, tower.kernel, left), rows, tower.kernel);
    float2 sum = unpack_f16(top.sum);
    long long at = (long long)b * yStride + column, note = (long long)b * gridDim.z * filters + column;
    if (f < filters) {
      y[at] = activated(sum.x + bias[column], activation);
      if (save) arg[note] = top.at[0];
    }
    if (f + 1 < filters) {
      y[at + 1] = activated(sum.y + bias[column + 1], activation);
      if (save) arg[note + 1] = top.at[1];
    }
  }
}

// Gains are what conv_max_grad adds for GAINS names. More would take registers and with them the blocks that are there at once.
constexpr int GAINS = 4;

struct Gains {
  float g[GAINS];
  int at[GAINS]; // where the maximum was, then the table's row

  // fetch takes the gradients of names b.. and the places of their maxima; names from to on give nothing.
  __device__ __forceinline__ void fetch(const float* d, int dStride, const int* arg, int argStride, int b, int to) {
#pragma unroll
    for (int i = 0; i < GAINS; i++) {
      bool there = b + i < to;
      long long name = there ? b + i : to - 1;
      g[i] = there ? d[name * dStride] : 0.f;
      at[i] = arg[name * argStride];
    }
  }

  __device__ __forceinline__ void find(const unsigned char* codes, int window, int b, int to) {
#pragma unroll
    for (int i = 0; i < GAINS; i++) at[i] = codes[(long long)(b + i < to ? b + i : to - 1) * window + at[i]];
  }
};

// conv_max_grad adds the gradient d [batch, towers·filters] of the sums to the table rows that won: part [gridDim.y, offsets, rows,
// filters]. Warp j has the rows of offset j to itself, so that nothing is added atomically; a block takes a share of the names. What the
// next names and those after them need is on its way meanwhile.
extern "C" __global__ void __launch_bounds__(1024) conv_max_grad(float* part, const float* d, int dStride, const int* arg, const unsigned char* codes, int batch,
                                                                 int window, int rows, unsigned long long kernels, int offsets, int filters) {
  DYNAMIC_SHARED(float, slice);
  Tower tower(kernels);
  zero(slice, tower.kernel * rows * 32);
  int lane = threadIdx.x % 32, j = threadIdx.x / 32, f = blockIdx.x * 32 + lane, argStride = gridDim.z * filters, column = tower.place * filters + f;
  int share = (batch + gridDim.y - 1) / gridDim.y, from = blockIdx.y * share, to = from + share < batch ? from + share : batch;
  if (f < filters && j < tower.kernel && from < to) {
    d += column;
    arg += column;
    codes += j;
    float* own = slice + j * rows * 32 + lane;
    Gains now, next;
    now.fetch(d, dStride, arg, argStride, from, to);
    next.fetch(d, dStride, arg, argStride, from + GAINS, to);
    now.find(codes, window, from, to);
    for (int b = from; b < to; b += GAINS) {
      Gains later;
      later.fetch(d, dStride, arg, argStride, b + 2 * GAINS, to);
      next.find(codes, window, b + GAINS, to);
#pragma unroll
      for (int i = 0; i < GAINS; i++) own[now.at[i] * 32] += now.g[i];
      now = next;
      next = later;
    }
  }
  finish(part + ((long long)blockIdx.y * offsets + tower.first) * rows * filters, slice, rows, tower.kernel, filters);
}
