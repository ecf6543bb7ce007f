// From the resident set to a batch.
#include "common.cuh"

// permuted is trainer.Shuffled: place i of a permutation of 0..n-1 that key draws.
__device__ unsigned permuted(unsigned i, unsigned n, unsigned long long key) {
  int half = 1;
  while (1ull << 2 * half < n) half++;
  unsigned mask = (1u << half) - 1;
  do {
    unsigned left = i >> half, right = i & mask;
    for (int round = 0; round < 6; round++) {
      unsigned next = left ^ (unsigned)(mixed(key + round ^ (unsigned long long)right << 8) & mask);
      left = right;
      right = next;
    }
    i = left << half | right;
  } while (i >= n);
  return i;
}

// take_batch gathers samples first to first+count-1 of an epoch's order, which key 0 leaves as it lies, into a batch,
// one block a sample; rows beyond count are padding of weight 0.
extern "C" __global__ void take_batch(unsigned char* codes, int* labels, float* weights, const unsigned char* allCodes,
                                      const unsigned short* allLabels, const float* allWeights, int total, int first,
                                      int count, int window, int pad, unsigned long long key) {
  int b = blockIdx.x;
  if (b >= count) {
    for (int t = threadIdx.x; t < window; t += blockDim.x) codes[(long long)b * window + t] = pad;
    if (threadIdx.x == 0) {
      labels[b] = 0;
      weights[b] = 0.f;
    }
    return;
  }
  long long from = key ? permuted(first + b, total, key) : first + b;
  for (int t = threadIdx.x; t < window; t += blockDim.x) codes[(long long)b * window + t] = allCodes[from * window + t];
  if (threadIdx.x == 0) {
    labels[b] = allLabels[from];
    weights[b] = allWeights[from];
  }
}

// characters counts each name's codes without the padding at its one side. A warp has a name.
extern "C" __global__ void characters(int* chars, const unsigned char* codes, int batch, int window, int pad,
                                      int left) {
  int lane = threadIdx.x % 32, b = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (b >= batch) return;
  const unsigned char* name = codes + (long long)b * window;
  int n = 0;
  for (int t = lane; t < window; t += 32)
    if (name[left ? window - 1 - t : t] != pad) n = t + 1;
  for (int bits = 16; bits > 0; bits >>= 1) {
    int other = __shfl_xor_sync(0xffffffffu, n, bits);
    n = other > n ? other : n;
  }
  if (lane == 0) chars[b] = n;
}
