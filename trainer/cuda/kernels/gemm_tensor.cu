// Matrix products in bf16 where vectors of four fit: what is contiguous of a, b and c comes in fours and lies aligned.
// A block of 256 threads has a tile of c, 64 by 128, its warps 32 by 32 each.
#include "common.cuh"

constexpr int TENSOR_M = 64, TENSOR_N = 128, TENSOR_K = 64, TENSOR_THREADS = 256;

// Vector is what a thread loads at once of a matrix of fp32 or of bf16, and as_bf16 what that is in bf16.
template <class Element> struct VectorOf { using Type = float4; };
template <> struct VectorOf<unsigned short> { using Type = uint4; };

__device__ __forceinline__ uint2 as_bf16(float4 v) { return make_uint2(pack_bf16(v.x, v.y), pack_bf16(v.z, v.w)); }
__device__ __forceinline__ uint4 as_bf16(uint4 v) { return v; }

// Lines is a part of a matrix x in shared memory as bf16, in x's own order: LINES lines of COLUMNS that are contiguous
// in x. The 8 keep the rows of ldmatrix in different banks. What lies beyond x is zero.
template <int LINES, int COLUMNS, class Element> struct Lines {
  using Vector = typename VectorOf<Element>::Type;
  static constexpr int EACH = sizeof(Vector) / sizeof(Element), EACH_LINE = COLUMNS / EACH,
                       PASS = TENSOR_THREADS / EACH_LINE;
  static constexpr int STRIDE = COLUMNS + 8, LOADS = LINES / PASS;

  // fetch takes lines line0.. of lines and columns column0.. of columns; all loads are on their way at once.
  static __device__ __forceinline__ void fetch(Vector (&v)[LOADS], const Element* __restrict__ x, int stride, int line0,
                                               int lines, int column0, int columns) {
    int column = column0 + threadIdx.x % EACH_LINE * EACH;
#pragma unroll
    for (int s = 0; s < LOADS; s++) {
      int line = line0 + threadIdx.x / EACH_LINE + s * PASS;
      bool inside = line < lines && column < columns;
      Vector got = *reinterpret_cast<const Vector*>(x + (inside ? (long long)line * stride + column : 0));
      v[s] = inside ? got : Vector{};
    }
  }

  static __device__ __forceinline__ void place(unsigned short* panel, const Vector (&v)[LOADS]) {
#pragma unroll
    for (int s = 0; s < LOADS; s++) {
      auto halves = as_bf16(v[s]);
      *reinterpret_cast<decltype(halves)*>(panel + (threadIdx.x / EACH_LINE + s * PASS) * STRIDE +
                                           threadIdx.x % EACH_LINE * EACH) = halves;
    }
  }
};

// round_weights writes x [2n] as bf16.
extern "C" __global__ void round_weights(unsigned* y, const float* x, long long n) {
  EACH(i, n) y[i] = pack_bf16(x[2 * i], x[2 * i + 1]);
}

// Share is the part of k that a block has: all of it, or with split that of its place in the third axis.
struct Share {
  int from, end;

  __device__ __forceinline__ Share(int k, int split) : from(0), end(k) {
    if (!split) return;
    int share = ((k + gridDim.z - 1) / gridDim.z + TENSOR_K - 1) / TENSOR_K * TENSOR_K;
    from = blockIdx.z * share < k ? blockIdx.z * share : k;
    end = from + share < k ? from + share : k;
  }
};

// Accumulator is a warp's 32 by 32 of c.
struct Accumulator {
  float acc[2][4][4];

  // add takes the products of a step of 16 in k from the fragments of two tiles of rows and two pairs of tiles of
  // columns.
  __device__ __forceinline__ void add(const unsigned (&a)[2][4], const unsigned (&b)[2][4]) {
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int j = 0; j < 4; j++) {
        unsigned pair[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
        mma_bf16(acc[i][j], a[i], pair);
      }
  }

  __device__ __forceinline__ void store(float* c, int stride, const float* bias, int i0, int j0, int m, int n,
                                        int activation, int accumulate) const {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int row = i0 + i * 16 + half * 8 + lane / 4;
        if (row >= m) continue;
#pragma unroll
        for (int j = 0; j < 4; j++) {
          int column = j0 + j * 8 + lane % 4 * 2;
          if (column >= n) continue; // n is a multiple of 4
          float2* at = reinterpret_cast<float2*>(c + (long long)row * stride + column);
          float2 v = make_float2(acc[i][j][half * 2], acc[i][j][half * 2 + 1]);
          if (accumulate) v.x += at->x, v.y += at->y;
          if (bias) v.x += bias[column], v.y += bias[column + 1];
          if (activation != LINEAR) v.x = activated(v.x, activation), v.y = activated(v.y, activation);
          *at = v;
        }
      }
  }
};

// tensor_product is one tile of c = a·b for a [m, k], with ACROSS lying as [k, m], and b [k, n], with B_ACROSS lying as
// [n, k]. The grid is that of product in gemm.cu with tiles of its own. Element is b's.
template <bool A_ACROSS, bool B_ACROSS, class Element>
__device__ __forceinline__ void tensor_product(float* c, const float* a, const Element* b, const float* bias, int m,
                                               int n, int k, int aStride, int bStride, int cStride, long long cBatch,
                                               int split, int activation, int accumulate) {
  using A = Lines<A_ACROSS ? TENSOR_K : TENSOR_M, A_ACROSS ? TENSOR_M : TENSOR_K, float>;
  using B = Lines<B_ACROSS ? TENSOR_N : TENSOR_K, B_ACROSS ? TENSOR_K : TENSOR_N, Element>;
  __shared__ __align__(16) unsigned short pa[TENSOR_M * TENSOR_K + 8 * 64], pb[TENSOR_N * TENSOR_K + 8 * 128];
  int i0 = blockIdx.x * TENSOR_M, j0 = blockIdx.y * TENSOR_N, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  Share share(k, split);
  c += blockIdx.z * cBatch;
  typename A::Vector va[A::LOADS];
  typename B::Vector vb[B::LOADS];
  auto fetch = [&](int q) {
    if (A_ACROSS) A::fetch(va, a, aStride, q, share.end, i0, m);
    else A::fetch(va, a, aStride, i0, m, q, share.end);
    if (B_ACROSS) B::fetch(vb, b, bStride, j0, n, q, share.end);
    else B::fetch(vb, b, bStride, q, share.end, j0, n);
  };
  Accumulator sum = {};
  int row = warp / 4 * 32, column = warp % 4 * 32; // of the tile, the warp's
  if (share.from < share.end) fetch(share.from);
  for (int q = share.from; q < share.end; q += TENSOR_K) {
    A::place(pa, va);
    B::place(pb, vb);
    __syncthreads();
    if (q + TENSOR_K < share.end) fetch(q + TENSOR_K);
#pragma unroll
    for (int step = 0; step < TENSOR_K; step += 16) {
      unsigned fa[2][4], fb[2][4];
#pragma unroll
      for (int i = 0; i < 2; i++) { // matrices: rows 0..7 and 8..15, then the same of the next 8 of k
        int r = row + i * 16, k8 = step + lane / 16 * 8;
        if (A_ACROSS) ldmatrix_trans(fa[i], pa + (k8 + lane % 8) * A::STRIDE + r + lane / 8 % 2 * 8);
        else ldmatrix(fa[i], pa + (r + lane % 16) * A::STRIDE + k8);
      }
#pragma unroll
      for (int j = 0; j < 2; j++) { // matrices: k 0..7 and 8..15 of a tile of columns, then the same of the next
        int s = column + j * 16 + lane / 16 * 8, k8 = step + lane / 8 % 2 * 8;
        if (B_ACROSS) ldmatrix(fb[j], pb + (s + lane % 8) * B::STRIDE + k8);
        else ldmatrix_trans(fb[j], pb + (k8 + lane % 8) * B::STRIDE + s);
      }
      sum.add(fa, fb);
    }
    __syncthreads();
  }
  sum.store(c, cStride, bias, i0 + row, j0 + column, m, n, activation, accumulate);
}

#define TENSOR_GEMM(name, A_ACROSS, B_ACROSS, Element)                                                               \
  extern "C" __global__ void __launch_bounds__(TENSOR_THREADS, 2)                                                    \
      name(float* c, const float* a, const Element* b, const float* bias, int m, int n, int k, int aStride,          \
           int bStride, int cStride, long long cBatch, int split, int activation, int accumulate) {                  \
    tensor_product<A_ACROSS, B_ACROSS>(c, a, b, bias, m, n, k, aStride, bStride, cStride, cBatch, split, activation, \
                                       accumulate);                                                                  \
  }

TENSOR_GEMM(gemm_tensor_nn, false, false, float)
TENSOR_GEMM(gemm_tensor_nt, false, true, float)
TENSOR_GEMM(gemm_tensor_tn, true, false, float)
TENSOR_GEMM(gemm_rounded_nn, false, false, unsigned short)
TENSOR_GEMM(gemm_rounded_nt, false, true, unsigned short)

// For products with few columns the lanes of a warp share the sum: y [rows, n] = x [rows, wide] · w [wide, n] + bias, a
// warp a row.
extern "C" __global__ void __launch_bounds__(256)
    narrow(float* y, const float* x, const float* w, const float* bias, int rows, int wide, int n, int activation) {
  int lane = threadIdx.x % 32, row = blockIdx.x * 8 + threadIdx.x / 32;
  if (row >= rows) return;
  for (int j = 0; j < n; j++) {
    float sum = 0.f;
    for (int i = lane; i < wide; i += 32) sum += x[(long long)row * wide + i] * w[i * n + j];
    for (int bits = 16; bits > 0; bits >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, bits);
    if (lane == 0) y[(long long)row * n + j] = activated(sum + bias[j], activation);
  }
}

// narrow_weights gives each share of the rows its part [gridDim.z, wide, n] of xᵀ·d for d [rows, n]; the grid's second
// axis is the columns of d. A block is [32 columns of x, 8 rows].
extern "C" __global__ void __launch_bounds__(256)
    narrow_weights(float* part, const float* x, const float* d, int rows, int wide, int n) {
  __shared__ float sums[8][33];
  int i = blockIdx.x * 32 + threadIdx.x, j = blockIdx.y;
  int share = (rows + gridDim.z - 1) / gridDim.z, from = blockIdx.z * share,
      end = from + share < rows ? from + share : rows;
  float sum = 0.f;
  if (i < wide)
#pragma unroll 4
    for (int r = from + threadIdx.y; r < end; r += 8) sum += x[(long long)r * wide + i] * d[(long long)r * n + j];
  sum = column_total(sum, sums);
  if (threadIdx.y == 0 && i < wide) part[((long long)blockIdx.z * wide + i) * n + j] = sum;
}

// narrow_inputs is dx [rows, wide] = d [rows, n] · wᵀ.
extern "C" __global__ void narrow_inputs(float* dx, const float* d, const float* w, int rows, int wide, int n) {
  EACH(i, (long long)rows * wide) {
    long long row = i / wide;
    int column = i % wide;
    float sum = 0.f;
    for (int j = 0; j < n; j++) sum += d[row * n + j] * w[column * n + j];
    dx[i] = sum;
  }
}
