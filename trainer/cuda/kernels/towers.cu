// Towers are up to eight valid convolutions over the embedding side by side, with as many filters each, of which a
// global maximum alone is wanted: y [batch, towers·filters]. Their tables follow each other by offset. The grid's third
// axis is the towers.
#include "common.cuh"

// Tower is the block's: its place among the towers, the length of its windows and its first offset among all towers'.
// kernels has a byte for each tower. The last come first: presets have the longest windows there, and blocks that take
// long should not be the last to begin.
struct Tower {
  int place, kernel, first;

  __device__ __forceinline__ Tower(unsigned long long kernels)
      : place(gridDim.z - 1 - blockIdx.z), kernel(kernels >> 8 * place & 255), first(0) {
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
template <int K>
__device__ __forceinline__ Best best(const float* slice, const unsigned char* name, Reach reach, int rows, int kernel) {
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
    if (t == reach.from || sum > top.sum || sum != sum) top = {sum, t};
  }
  return top;
}

// conv_max is the towers, a bias and an activation, which must not fall; arg [batch, towers·filters] is where the
// maxima are. A block has 32 filters; warps take names.
extern "C" __global__ void __launch_bounds__(512)
    conv_max(float* y, int yStride, int* arg, const float* table, const float* bias, const unsigned char* codes,
             const int* chars, int batch, int window, int rows, unsigned long long kernels, int filters, int left,
             int activation) {
  DYNAMIC_SHARED(float, slice);
  Tower tower(kernels);
  int lane = threadIdx.x % 32, f = blockIdx.x * 32 + lane, warps = blockDim.x / 32, column = tower.place * filters + f;
  stage(slice, table + (long long)tower.first * rows * filters, rows, tower.kernel, filters);
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

// Where a table is kept in f16, which rounds it to as many bits as tf32 does and each sum again, a lane has PAIRS pairs
// of filters that lie side by side. LARGEST keeps the sum of 32 rows of finite values finite.
constexpr float LARGEST = 2000.f;

__device__ __forceinline__ float bounded(float x) {
  if (x - x != 0.f) return x; // not finite
  return x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x;
}

template <int PAIRS> struct Pairs {
  unsigned at[PAIRS];

  __device__ __forceinline__ void load(const unsigned* from) {
    if (PAIRS == 1) {
      at[0] = *from;
    } else {
      uint2 two = *reinterpret_cast<const uint2*>(from);
      at[0] = two.x;
      at[PAIRS - 1] = two.y;
    }
  }

  __device__ __forceinline__ void add(const unsigned* from) {
    Pairs more;
    more.load(from);
#pragma unroll
    for (int i = 0; i < PAIRS; i++) at[i] = add_f16(at[i], more.at[i]);
  }
};

// Peak is Best of the filters of a lane. Without NOTE nobody wants to know where.
template <int PAIRS, bool NOTE> struct Peak {
  Pairs<PAIRS> top;
  int at[2 * PAIRS];

  __device__ __forceinline__ Peak(int from) {
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
      top.at[i] = 0xfc00fc00u; // twice minus infinity
      at[2 * i] = at[2 * i + 1] = from;
    }
  }

  __device__ __forceinline__ void see(const Pairs<PAIRS>& sum, int t) {
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
      if (NOTE) note_larger_f16(sum.at[i], top.at[i], t, at[2 * i], at[2 * i + 1]);
      top.at[i] = max_f16(top.at[i], sum.at[i]);
    }
  }

  // walk takes the windows of K codes. place[j] is where the row of offset j is in the slice: from one window to the
  // next a code moves one offset down.
  template <int K>
  __device__ __forceinline__ void walk(const unsigned* slice, const unsigned char* name, Reach reach, int rows) {
    constexpr int ROW = 32 * PAIRS;
    int place[K], offset = rows * ROW, last = (K - 1) * offset;
    name += reach.from;
#pragma unroll
    for (int j = 1; j < K; j++) place[j] = name[j - 1] * ROW + j * offset;
    name += K - 1;
    int coming = *name;
#pragma unroll 4
    for (int t = reach.from; t < reach.to; t++) {
      int code = coming;
      coming = *++name; // the next window's, long before it is needed
      window<K>(slice, place, offset, code * ROW + last, t);
    }
    window<K>(slice, place, offset, coming * ROW + last, reach.to);
  }

  template <int K>
  __device__ __forceinline__ void window(const unsigned* slice, int (&place)[K], int offset, int last, int t) {
#pragma unroll
    for (int j = 0; j + 1 < K; j++) place[j] = place[j + 1] - offset;
    place[K - 1] = last;
    Pairs<PAIRS> sum;
    sum.load(slice + place[0]);
#pragma unroll
    for (int j = 1; j < K; j++) sum.add(slice + place[j]);
    see(sum, t);
  }

  // walk_any is walk for any kernel.
  __device__ __forceinline__ void walk_any(const unsigned* slice, const unsigned char* name, Reach reach, int rows,
                                           int kernel) {
    for (int t = reach.from; t <= reach.to; t++) {
      Pairs<PAIRS> sum;
      sum.load(slice + name[t] * 32 * PAIRS);
      for (int j = 1; j < kernel; j++) sum.add(slice + (j * rows + name[t + j]) * 32 * PAIRS);
      see(sum, t);
    }
  }

  __device__ __forceinline__ void find(const unsigned* slice, const unsigned char* name, Reach reach, int rows,
                                       int kernel) {
    switch (kernel) {
    case 2: walk<2>(slice, name, reach, rows); break;
    case 3: walk<3>(slice, name, reach, rows); break;
    case 4: walk<4>(slice, name, reach, rows); break;
    case 5: walk<5>(slice, name, reach, rows); break;
    default: walk_any(slice, name, reach, rows, kernel);
    }
  }
};

// PairOutput is where a lane's filters f.. go to, of which there may be fewer.
struct PairOutput {
  float* y;
  int* arg;
  const float* bias;
  int left, activation; // filters from the lane's first on

  template <int PAIRS, bool NOTE>
  __device__ __forceinline__ void put(const Peak<PAIRS, NOTE>& peak, long long yAt, long long argAt) const {
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
      float2 sum = unpack_f16(peak.top.at[i]);
#pragma unroll
      for (int q = 0; q < 2; q++)
        if (2 * i + q < left) {
          float v = (q ? sum.y : sum.x) + bias[2 * i + q];
          y[yAt + 2 * i + q] = activation == LINEAR ? v : activated(v, activation);
          if (NOTE) arg[argAt + 2 * i + q] = peak.at[2 * i + q];
        }
    }
  }
};

// towers_f16 is conv_max with tables in f16; a block has 64·PAIRS filters.
template <int PAIRS>
__device__ __forceinline__ void towers_f16(unsigned* slice, float* y, int yStride, int* arg, const float* table,
                                           const float* bias, const unsigned char* codes, const int* chars, int batch,
                                           int window, int rows, unsigned long long kernels, int filters, int left,
                                           int activation, int save) {
  Tower tower(kernels);
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32,
      f = (blockIdx.x * 32 + lane) * 2 * PAIRS, column = tower.place * filters + f;
  table += (long long)tower.first * rows * filters;
  for (int line = warp; line < tower.kernel * rows; line += warps)
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
      const float* at = table + line * filters + f + 2 * i;
      slice[(line * 32 + lane) * PAIRS + i] =
          pack_f16(f + 2 * i < filters ? bounded(at[0]) : 0.f, f + 2 * i + 1 < filters ? bounded(at[1]) : 0.f);
    }
  __syncthreads();
  slice += lane * PAIRS;
  const PairOutput out = {y + column, arg + column, bias + column, filters - f, activation};
  for (int b = blockIdx.y * warps + warp; b < batch; b += gridDim.y * warps) {
    const unsigned char* name = codes + (long long)b * window;
    Reach reach(chars[b], window, tower.kernel, left);
    if (save) {
      Peak<PAIRS, true> peak(reach.from);
      peak.find(slice, name, reach, rows, tower.kernel);
      out.put(peak, (long long)b * yStride, (long long)b * gridDim.z * filters);
    } else {
      Peak<PAIRS, false> peak(reach.from);
      peak.find(slice, name, reach, rows, tower.kernel);
      out.put(peak, (long long)b * yStride, 0);
    }
  }
}

// Without save nobody wants arg.
#define TOWERS_F16(name, PAIRS)                                                                                       \
  extern "C" __global__ void __launch_bounds__(512, 3)                                                                \
      name(float* y, int yStride, int* arg, const float* table, const float* bias, const unsigned char* codes,        \
           const int* chars, int batch, int window, int rows, unsigned long long kernels, int filters, int left,      \
           int activation, int save) {                                                                                \
    DYNAMIC_SHARED(unsigned, slice); /* [kernel][rows][32][PAIRS] */                                                  \
    towers_f16<PAIRS>(slice, y, yStride, arg, table, bias, codes, chars, batch, window, rows, kernels, filters, left, \
                      activation, save);                                                                              \
  }

TOWERS_F16(conv_max_f16, 1)
TOWERS_F16(conv_max_f16_wide, 2)

// Gains are what conv_max_grad adds for GAINS names. More would take registers and with them the blocks that are there
// at once.
constexpr int GAINS = 4;

struct Gains {
  float g[GAINS];
  int at[GAINS]; // where the maximum was, then the table's row

  // fetch takes the gradients of the next names and the places of their maxima. Only left of them are there; the
  // others' give nothing.
  __device__ __forceinline__ void fetch(const float*& d, int dStride, const int*& arg, int argStride, int left) {
#pragma unroll
    for (int i = 0; i < GAINS; i++) {
      bool there = i < left;
      g[i] = there ? d[i * dStride] : 0.f;
      at[i] = there ? arg[i * argStride] : 0;
    }
    d += GAINS * dStride;
    arg += GAINS * argStride;
  }

  __device__ __forceinline__ void find(const unsigned char*& codes, int window, int left) {
#pragma unroll
    for (int i = 0; i < GAINS; i++) at[i] = i < left ? codes[i * window + at[i]] : 0;
    codes += GAINS * window;
  }
};

// conv_max_grad adds the gradient d [batch, towers·filters] of the sums to the table rows that won: part [gridDim.y,
// offsets, rows, filters]. Warp j has the rows of offset j to itself, so that nothing is added atomically; a block
// takes a share of the names. What the next names and those after them need is on its way meanwhile.
extern "C" __global__ void __launch_bounds__(1024)
    conv_max_grad(float* part, const float* d, int dStride, const int* arg, const unsigned char* codes, int batch,
                  int window, int rows, unsigned long long kernels, int offsets, int filters) {
  DYNAMIC_SHARED(float, slice);
  Tower tower(kernels);
  zero(slice, tower.kernel * rows * 32);
  int lane = threadIdx.x % 32, j = threadIdx.x / 32, f = blockIdx.x * 32 + lane, argStride = gridDim.z * filters,
      column = tower.place * filters + f;
  int share = (batch + gridDim.y - 1) / gridDim.y, from = blockIdx.y * share,
      to = from + share < batch ? from + share : batch;
  if (f < filters && j < tower.kernel) {
    d += (long long)from * dStride + column;
    arg += (long long)from * argStride + column;
    codes += (long long)from * window + j;
    float* own = slice + j * rows * 32 + lane;
    Gains now, next;
    now.fetch(d, dStride, arg, argStride, to - from);
    next.fetch(d, dStride, arg, argStride, to - from - GAINS);
    now.find(codes, window, to - from);
    for (int left = to - from; left > 0; left -= GAINS) {
      Gains later;
      later.fetch(d, dStride, arg, argStride, left - 2 * GAINS);
      next.find(codes, window, left - GAINS);
#pragma unroll
      for (int i = 0; i < GAINS; i++) own[now.at[i] * 32] += now.g[i];
      now = next;
      next = later;
    }
  }
  finish(part + ((long long)blockIdx.y * offsets + tower.first) * rows * filters, slice, rows, tower.kernel, filters);
}
