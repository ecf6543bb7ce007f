// The gradients of an LSTM's matrices from those of its pre-activations, dz [cells, 4·units] in bf16.
#include "lstm.cuh"

// A block has GRAD_TILES tiles of 16 rows of the product and GRAD_COLUMNS of its columns, and goes through a share of
// the cells slab by slab: STAGES - 1 of them are on their way while one is multiplied. Of the tiles a warp has every
// fourth, of the columns half.
constexpr int SLAB = 32, STAGES = 4, GRAD_TILES = 12, GRAD_COLUMNS = 128, GRAD_THREADS = 256,
              WARP_TILES = GRAD_TILES / 4, WARP_COLUMNS = GRAD_COLUMNS / 2;

struct Slab {
  unsigned short left[SLAB][GRAD_TILES * 16 + 8], right[SLAB][GRAD_COLUMNS + 8]; // the 8 keep rows in different banks
};

// Gatherer brings cells into slabs: their states h before the step, a 1 in the column of their code, and their dz.
// Eight threads bring a cell.
struct Gatherer {
  const uint4 *h, *dz;        // of the block's first columns
  const unsigned char* codes; // null for none
  int units, first, width;    // the block's first row of the product, and how many of its rows are of h
  int end;                    // of the share's cells
  Copies copies;

  // column is that of cell k's 1, the one after all where another block has it or nobody.
  __device__ __forceinline__ int column(int k) const {
    int at = threadIdx.x < SLAB && codes && k < end ? units + codes[k] - first : -1;
    return at >= 0 && at < GRAD_TILES * 16 ? at : GRAD_TILES * 16;
  }

  __device__ __forceinline__ void fetch(Slab& slab, int k0) {
    int row = threadIdx.x / 8, piece = threadIdx.x % 8, k = k0 + row;
    bool inside = k < end;
    long long cell = inside ? k : 0;
#pragma unroll
    for (int j = 0; j < GRAD_COLUMNS / 64; j++)
      copies.start(&slab.right[row][(piece + j * 8) * 8], dz + cell * (units / 2) + piece + j * 8, inside);
    for (int p = piece; p < width / 8; p += 8) copies.start(&slab.left[row][p * 8], h + cell * (units / 8) + p, inside);
    copies.commit();
  }
};

// multiply_slab adds the product of a slab's halves to the warp's tiles, of which there are at most `tiles`.
__device__ __forceinline__ void multiply_slab(float (&sum)[WARP_TILES][WARP_COLUMNS / 8][4], const Slab& slab,
                                              int tiles) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < SLAB; k += 16) {
    unsigned b[WARP_COLUMNS / 16][4];
#pragma unroll
    for (int n = 0; n < WARP_COLUMNS / 16; n++)
      ldmatrix_trans(b[n], &slab.right[k + lane % 16][warp % 2 * WARP_COLUMNS + n * 16 + lane / 16 * 8]);
#pragma unroll
    for (int i = 0; i < WARP_TILES; i++) {
      int tile = warp / 2 + i * 4;
      if (tile >= tiles) break;
      unsigned a[4];
      ldmatrix_trans(a, &slab.left[k + lane / 16 * 8 + lane % 8][tile * 16 + lane / 8 % 2 * 8]);
#pragma unroll
      for (int n = 0; n < WARP_COLUMNS / 8; n++) mma_bf16(sum[i][n], a, {b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]});
    }
  }
}

// lstm_weights_bf16 computes [h | one-hot codes]ᵀ·dz over all cells: the gradients of the recurrent matrix, [units,
// 4·units], and, with codes, of the table, [rows, 4·units]. Both are shares to be added up: u and table [gridDim.z,
// ...]. The grid is [4·units / GRAD_COLUMNS, tiles / GRAD_TILES rounded up, shares]: neighbours go through the same
// cells, so that one fetches for all. The block needs STAGES slabs of shared memory.
extern "C" __global__ void __launch_bounds__(GRAD_THREADS)
    lstm_weights_bf16(float* u, float* table, const uint4* h, const uint4* dz, const unsigned char* codes, int cells,
                      int units, int rows) {
  DYNAMIC_SHARED(Slab, slabs);
  __shared__ short hot[STAGES][SLAB]; // the column of each cell's 1
  int first = blockIdx.y * GRAD_TILES * 16, width = max(0, min(units - first, GRAD_TILES * 16)),
      all = units + (codes ? rows : 0);
  int share = ((cells + gridDim.z - 1) / gridDim.z + SLAB - 1) / SLAB * SLAB,
      from = min(cells, (int)blockIdx.z * share), end = min(cells, from + share);
  Gatherer gatherer = {h + first / 8, dz + blockIdx.x * (GRAD_COLUMNS / 8), codes, units, first, width, end};
  for (int e = threadIdx.x; e < STAGES * SLAB * (GRAD_TILES * 16 + 8); e += GRAD_THREADS) {
    int row = e / (GRAD_TILES * 16 + 8), m = e % (GRAD_TILES * 16 + 8);
    if (m >= width) slabs[row / SLAB].left[row % SLAB][m] = 0;
  }
  if (threadIdx.x < SLAB)
    for (int s = 0; s < STAGES; s++) hot[s][threadIdx.x] = GRAD_TILES * 16;
  __syncthreads();

  int ahead = gatherer.column(from + threadIdx.x), slabCount = (end - from + SLAB - 1) / SLAB;
  // bring begins the fetch of slab s; the code of each cell was asked for a slab earlier.
  auto bring = [&](int s) {
    Slab& slab = slabs[s % STAGES];
    int k0 = from + s * SLAB;
    gatherer.fetch(slab, k0);
    if (threadIdx.x >= SLAB || !codes) return;
    short& column = hot[s % STAGES][threadIdx.x];
    slab.left[threadIdx.x][column] = 0;
    column = ahead;
    if (column < GRAD_TILES * 16) slab.left[threadIdx.x][column] = 0x3f80; // 1
    ahead = gatherer.column(k0 + SLAB + threadIdx.x);
  };
  for (int s = 0; s < STAGES - 1; s++) bring(s);
  float sum[WARP_TILES][WARP_COLUMNS / 8][4] = {};
  int tiles = (all - first + 15) / 16;
  for (int s = 0; s < slabCount; s++) {
    gatherer.copies.wait<STAGES - 2>();
    __syncthreads(); // slab s is there, and everyone is done with the one before
    bring(s + STAGES - 1);
    multiply_slab(sum, slabs[s % STAGES], tiles);
  }

  int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  u += (long long)blockIdx.z * units * 4 * units;
  table += (long long)blockIdx.z * rows * 4 * units;
#pragma unroll
  for (int i = 0; i < WARP_TILES; i++)
#pragma unroll
    for (int r = 0; r < 2; r++) {
      int m = first + (warp / 2 + i * 4) * 16 + r * 8 + g;
      if (m >= all) continue;
      float* row = (m < units ? u + (long long)m * 4 * units : table + (long long)(m - units) * 4 * units) +
                   blockIdx.x * GRAD_COLUMNS + warp % 2 * WARP_COLUMNS + 2 * t;
#pragma unroll
      for (int n = 0; n < WARP_COLUMNS / 8; n++)
        *reinterpret_cast<float2*>(row + n * 8) = make_float2(sum[i][n][r * 2], sum[i][n][r * 2 + 1]);
    }
}

// widen_bf16 writes pairs of bf16 as floats.
extern "C" __global__ void widen_bf16(float2* y, const unsigned* x, long long pairs) {
  EACH(i, pairs) y[i] = make_float2(bf16_lo(x[i]), bf16_hi(x[i]));
}
