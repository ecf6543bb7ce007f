// What all kernels share. Every kernel's result depends on its inputs alone, not on the order in which threads happen
// to run: sums are taken in a fixed order, nothing is added atomically.
#pragma once
#include "mma.cuh"

// EACH is a loop over n values that all threads of the grid share.
#define EACH(i, n) \
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n); i += (long long)gridDim.x * blockDim.x)

// Activations, in the order of the engine's table.
enum { LINEAR, RELU, TANH, SIGMOID };

__device__ __forceinline__ float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

// A call is cheaper than the registers and the code of an activation that is laid out for every element of a tile.
#ifdef __CUDACC__
#define OUT_OF_LINE __noinline__
#else
#define OUT_OF_LINE
#endif

__device__ OUT_OF_LINE float activated(float x, int activation) {
  switch (activation) {
  case RELU: return x <= 0.f ? 0.f : x; // NaN stays, here and wherever values are compared: a training must notice it
  case TANH: return tanhf(x);
  case SIGMOID: return sigmoid(x);
  }
  return x;
}

// slope is the derivative of an activation where its value is y.
__device__ __forceinline__ float slope(float y, int activation) {
  switch (activation) {
  case RELU: return y > 0.f ? 1.f : 0.f;
  case TANH: return 1.f - y * y;
  case SIGMOID: return y * (1.f - y);
  }
  return 1.f;
}

// What one instruction gives to 2^-22: 2^x, and 1/x for x of at least 1. Both take what is next to nothing for nothing.
#ifdef __CUDACC__
__device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// The smaller of two, NaN where one is.
__device__ __forceinline__ float smaller(float x, float y) {
  float z;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
  return z;
}
#else
inline float power_of_two(float x) { return exp2f(x); }
inline float reciprocal(float x) { return 1.f / x; }
inline float smaller(float x, float y) { return x < y || x != x ? x : y; }
#endif

// column_total sums up what the 8 rows of a block of [32, 8] threads bring for each column; the first row's threads get
// it. sums is the block's, [8][33].
__device__ __forceinline__ float column_total(float mine, float (*sums)[33]) {
  sums[threadIdx.y][threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.y == 0)
    for (int y = 1; y < 8; y++) mine += sums[y][threadIdx.x];
  return mine;
}

// mixed is a well-mixed function of its argument (SplitMix64), for masks and permutations; finalised is its last part.
__device__ __forceinline__ unsigned long long finalised(unsigned long long x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

__device__ __forceinline__ unsigned long long mixed(unsigned long long x) {
  return finalised(x + 0x9e3779b97f4a7c15ull);
}
