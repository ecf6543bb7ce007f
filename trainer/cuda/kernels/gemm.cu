// Matrix products with any strides: element (i, k) of a is a[i*ars + k*acs], so that a transpose is a swap of strides.
#include "common.cuh"

constexpr int TILE = 64, DEPTH = 32, GEMM_THREADS = 128;
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

// Part is a panel [DEPTH, SIDE] in shared memory. It is fetched into registers while the one before is being
// multiplied: LOADS values a thread, all on their way at once. Beyond the edges it is zero.
template <int SIDE> struct Part {
  static constexpr int LOADS = DEPTH * SIDE / GEMM_THREADS;
  float at[DEPTH][SIDE + 4];

  // spot is where thread-wise value s of a panel of x(i, k) = x[i*is + k*ks] lies: neighbouring threads read
  // neighbours.
  static __device__ __forceinline__ void spot(int s, int ks, int& i, int& k) {
    unsigned e = threadIdx.x + s * GEMM_THREADS;
    i = ks == 1 ? e / DEPTH : e % SIDE;
    k = ks == 1 ? e % DEPTH : e / SIDE;
  }

  static __device__ __forceinline__ void fetch(float (&v)[LOADS], const float* __restrict__ x, int is, int ks, int i0,
                                               int n, int k0, int end) {
#pragma unroll
    for (int s = 0; s < LOADS; s++) {
      int i, k;
      spot(s, ks, i, k);
      bool inside = i0 + i < n && k0 + k < end;
      float got = x[inside ? (long long)(i0 + i) * is + (long long)(k0 + k) * ks : 0]; // no branch: loads then overlap
      v[s] = inside ? got : 0.f;
    }
  }

  __device__ __forceinline__ void place(const float (&v)[LOADS], int ks) {
#pragma unroll
    for (int s = 0; s < LOADS; s++) {
      int i, k;
      spot(s, ks, i, k);
      at[k][i] = v[s];
    }
  }
};

// Scalar computes SIDE/16 by SIDE/8 elements a thread. Each is summed up in the order of k, whatever SIDE is.
template <int SIDE> struct Scalar {
  static constexpr int EDGE = SIDE, I = SIDE / 16, J = SIDE / 8;
  float acc[I][J];

  __device__ __forceinline__ void add(const Part<SIDE>& a, const Part<SIDE>& b) {
    int i0 = threadIdx.x / 8 * I, j0 = threadIdx.x % 8 * J;
#pragma unroll 4
    for (int k = 0; k < DEPTH; k++)
#pragma unroll
      for (int i = 0; i < I; i++)
#pragma unroll
        for (int j = 0; j < J; j++) acc[i][j] += a.at[k][i0 + i] * b.at[k][j0 + j];
  }

  __device__ __forceinline__ void store(const Output& out, int i0, int j0) {
    i0 += threadIdx.x / 8 * I;
    j0 += threadIdx.x % 8 * J;
#pragma unroll
    for (int i = 0; i < I; i++)
#pragma unroll
      for (int j = 0; j < J; j++) out.put(i0 + i, j0 + j, acc[i][j]);
  }
};

// Tensor computes 32 by 32 elements a warp on the tensor cores: 2 by 4 of their tiles.
template <int PRECISION> struct Tensor {
  static constexpr int EDGE = TILE;
  float acc[2][4][4];

  __device__ __forceinline__ void add(const Part<TILE>& a, const Part<TILE>& b) {
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
  __device__ __forceinline__ static unsigned pair(const Part<TILE>& panel, int k, int t, int at) {
    if (PRECISION == BF16) return pack_bf16(panel.at[k + 2 * t][at], panel.at[k + 2 * t + 1][at]);
    return __float_as_uint(to_tf32(panel.at[k + t][at]));
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

// product computes one tile of c = a·b for a [m, k] and b [k, n]. The grid is [m tiles, n tiles, batches]; a batch
// moves a, b and c on. With split, the third axis shares out k instead, and each share writes a c of its own.
template <class Tile>
__device__ __forceinline__ void product(float* c, const float* a, const float* b, const float* bias, int m, int n,
                                        int k, int ars, int acs, int brs, int bcs, int crs, long long aBatch,
                                        long long bBatch, long long cBatch, int split, int activation, int accumulate) {
  using Panel = Part<Tile::EDGE>;
  __shared__ Panel pa, pb;
  int i0 = blockIdx.x * Tile::EDGE, j0 = blockIdx.y * Tile::EDGE, z = blockIdx.z;
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
  float va[Panel::LOADS], vb[Panel::LOADS];
  if (from < end) {
    Panel::fetch(va, a, ars, acs, i0, m, from, end);
    Panel::fetch(vb, b, bcs, brs, j0, n, from, end);
  }
  for (int q = from; q < end; q += DEPTH) {
    pa.place(va, acs);
    pb.place(vb, brs);
    __syncthreads();
    if (q + DEPTH < end) {
      Panel::fetch(va, a, ars, acs, i0, m, q + DEPTH, end);
      Panel::fetch(vb, b, bcs, brs, j0, n, q + DEPTH, end);
    }
    tile.add(pa, pb);
    __syncthreads();
  }
  tile.store(Output{c, bias, m, n, crs, activation, accumulate}, i0, j0);
}

#define GEMM(name, Tile)                                                                                               \
  extern "C" __global__ void __launch_bounds__(GEMM_THREADS, 4)                                                        \
      name(float* c, const float* a, const float* b, const float* bias, int m, int n, int k, int ars, int acs,         \
           int brs, int bcs, int crs, long long aBatch, long long bBatch, long long cBatch, int split, int activation, \
           int accumulate) {                                                                                           \
    product<Tile>(c, a, b, bias, m, n, k, ars, acs, brs, bcs, crs, aBatch, bBatch, cBatch, split, activation,          \
                  accumulate);                                                                                         \
  }

GEMM(gemm_fp32, Scalar<TILE>)
GEMM(gemm_fp32_small, Scalar<TILE / 2>)
GEMM(gemm_tf32, Tensor<TF32>)
GEMM(gemm_bf16, Tensor<BF16>)
