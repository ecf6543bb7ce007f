// Matrix products with any strides: element (i, k) of a is a[i*ars + k*acs], so that a transpose is a swap of strides.
#include "common.cuh"

constexpr int TILE = 64, DEPTH = 32, ROW = TILE + 4, GEMM_THREADS = 128;
enum { FP32, TF32, BF16 };

// Output says where a product goes: c + row*stride, after adding what is there and a bias and applying an activation.
struct Output {
  float* c;
  const float* bias;
  int m, n, stride, activation, accumulate;

  __device__ __forceinline__ void put(int i, int j, float v) const {
    if (i >= m || j >= n) return;
    float* at = c + (long long)i * stride + j;
    if (accumulate) v += *at;
    if (bias) v += bias[j];
    *at = activation == LINEAR ? v : activated(v, activation);
  }
};

// A panel [DEPTH, TILE] is fetched into registers while the one before is being multiplied: EACH_LOADS values a thread, all
// on their way at once. Beyond the edges it is zero.
constexpr int EACH_LOADS = DEPTH * TILE / GEMM_THREADS;

// spot is where thread-wise value s of a panel of x(i, k) = x[i*is + k*ks] lies: neighbouring threads read neighbours.
__device__ __forceinline__ void spot(int s, int ks, int& i, int& k) {
  unsigned e = threadIdx.x + s * GEMM_THREADS;
  i = ks == 1 ? e / DEPTH : e % TILE;
  k = ks == 1 ? e % DEPTH : e / TILE;
}

__device__ __forceinline__ void fetch(float (&v)[EACH_LOADS], const float* __restrict__ x, int is, int ks, int i0, int n, int k0, int end) {
#pragma unroll
  for (int s = 0; s < EACH_LOADS; s++) {
    int i, k;
    spot(s, ks, i, k);
    bool inside = i0 + i < n && k0 + k < end;
    float got = x[inside ? (long long)(i0 + i) * is + (long long)(k0 + k) * ks : 0]; // no branch: loads then overlap
    v[s] = inside ? got : 0.f;
  }
}

__device__ __forceinline__ void place(float (*panel)[ROW], const float (&v)[EACH_LOADS], int ks) {
#pragma unroll
  for (int s = 0; s < EACH_LOADS; s++) {
    int i, k;
    spot(s, ks, i, k);
    panel[k][i] = v[s];
  }
}

// Scalar computes 4 by 8 elements a thread.
struct Scalar {
  float acc[4][8];

  __device__ __forceinline__ void add(float (*a)[ROW], float (*b)[ROW]) {
    int i0 = threadIdx.x / 8 * 4, j0 = threadIdx.x % 8 * 8;
#pragma unroll 4
    for (int k = 0; k < DEPTH; k++)
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) acc[i][j] += a[k][i0 + i] * b[k][j0 + j];
  }

  __device__ __forceinline__ void store(const Output& out, int i0, int j0) {
    i0 += threadIdx.x / 8 * 4;
    j0 += threadIdx.x % 8 * 8;
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int j = 0; j < 8; j++) out.put(i0 + i, j0 + j, acc[i][j]);
  }
};

// Tensor computes 32 by 32 elements a warp on the tensor cores: 2 by 4 of their tiles.
template <int PRECISION> struct Tensor {
  float acc[2][4][4];

  __device__ __forceinline__ void add(float (*a)[ROW], float (*b)[ROW]) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    int i0 = threadIdx.x / 64 * 32, j0 = threadIdx.x / 32 % 2 * 32;
    constexpr int STEP = PRECISION == BF16 ? 16 : 8;
    for (int k = 0; k < DEPTH; k += STEP) {
      unsigned fa[2][4], fb[4][2];
#pragma unroll
      for (int i = 0; i < 2; i++)
#pragma unroll
        for (int r = 0; r < 4; r++) fa[i][r] = pair(a, k + r / 2 * (STEP / 2), t, i0 + i * 16 + g + r % 2 * 8);
#pragma unroll
      for (int j = 0; j < 4; j++)
#pragma unroll
        for (int r = 0; r < 2; r++) fb[j][r] = pair(b, k + r * (STEP / 2), t, j0 + j * 8 + g);
#pragma unroll
      for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
          if (PRECISION == BF16) mma_bf16(acc[i][j], fa[i], fb[j]);
          else mma_tf32(acc[i][j], fa[i], fb[j]);
        }
    }
  }

  // pair is thread t's register of a fragment column at: two neighbours in bf16, one value in tf32.
  __device__ __forceinline__ static unsigned pair(float (*panel)[ROW], int k, int t, int at) {
    if (PRECISION == BF16) return pack_bf16(panel[k + 2 * t][at], panel[k + 2 * t + 1][at]);
    return __float_as_uint(to_tf32(panel[k + t][at]));
  }

  __device__ __forceinline__ void store(const Output& out, int i0, int j0) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    i0 += threadIdx.x / 64 * 32 + g;
    j0 += threadIdx.x / 32 % 2 * 32 + 2 * t;
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int j = 0; j < 4; j++)
#pragma unroll
        for (int r = 0; r < 4; r++) out.put(i0 + i * 16 + r / 2 * 8, j0 + j * 8 + r % 2, acc[i][j][r]);
  }
};

// product computes one tile of c = a·b for a [m, k] and b [k, n]. The grid is [m tiles, n tiles, batches]; a batch moves a,
// b and c on. With split, the third axis shares out k instead, and each share writes a c of its own.
template <class Tile>
__device__ __forceinline__ void product(float* c, const float* a, const float* b, const float* bias, int m, int n, int k, int ars, int acs, int brs, int bcs,
                                        int crs, long long aBatch, long long bBatch, long long cBatch, int split, int activation, int accumulate) {
  __shared__ float pa[DEPTH][ROW], pb[DEPTH][ROW];
  int i0 = blockIdx.x * TILE, j0 = blockIdx.y * TILE, z = blockIdx.z;
  int from = 0, end = k;
  c += z * cBatch;
  if (split) {
    int share = ((k + gridDim.z - 1) / gridDim.z + DEPTH - 1) / DEPTH * DEPTH;
    from = z * share < k ? z * share : k;
    end = from + share < k ? from + share : k;
  } else {
    a += z * aBatch;
    b += z * bBatch;
  }
  Tile tile = {};
  float va[EACH_LOADS], vb[EACH_LOADS];
  if (from < end) {
    fetch(va, a, ars, acs, i0, m, from, end);
    fetch(vb, b, bcs, brs, j0, n, from, end);
  }
  for (int q = from; q < end; q += DEPTH) {
    place(pa, va, acs);
    place(pb, vb, brs);
    __syncthreads();
    if (q + DEPTH < end) {
      fetch(va, a, ars, acs, i0, m, q + DEPTH, end);
      fetch(vb, b, bcs, brs, j0, n, q + DEPTH, end);
    }
    tile.add(pa, pb);
    __syncthreads();
  }
  tile.store(Output{c, bias, m, n, crs, activation, accumulate}, i0, j0);
}

#define GEMM(name, Tile)                                                                                                                              \
  extern "C" __global__ void __launch_bounds__(GEMM_THREADS, 4)                                                                                        \
      name(float* c, const float* a, const float* b, const float* bias, int m, int n, int k, int ars, int acs, int brs, int bcs, int crs,             \
           long long aBatch, long long bBatch, long long cBatch, int split, int activation, int accumulate) {                                         \
    product<Tile>(c, a, b, bias, m, n, k, ars, acs, brs, bcs, crs, aBatch, bBatch, cBatch, split, activation, accumulate);                            \
  }

GEMM(gemm_fp32, Scalar)
GEMM(gemm_tf32, Tensor<TF32>)
GEMM(gemm_bf16, Tensor<BF16>)
