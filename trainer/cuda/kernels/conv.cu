// Convolutions. Over the embedding they are sums of rows of a folded table T[offset][code][filter]: a block holds the
// part of some filters in shared memory, and its lanes are filters.
#include "common.cuh"

// stage loads a block's 32 filters, [kernel][rows][32]; filters beyond the last are zero. Warps take lines.
__device__ __forceinline__ void stage(float* slice, const float* table, int rows, int kernel, int filters) {
  int f = blockIdx.x * 32 + threadIdx.x % 32;
  for (int line = threadIdx.x / 32; line < kernel * rows; line += blockDim.x / 32)
    slice[line * 32 + threadIdx.x % 32] = f < filters ? table[line * filters + f] : 0.f;
  __syncthreads();
}

// finish writes a block's sums to its share of the offsets' [rows, filters] in part.
__device__ __forceinline__ void finish(float* part, const float* slice, int rows, int kernel, int filters) {
  __syncthreads();
  int f = blockIdx.x * 32 + threadIdx.x % 32;
  if (f < filters)
    for (int line = threadIdx.x / 32; line < kernel * rows; line += blockDim.x / 32)
      part[line * filters + f] = slice[line * 32 + threadIdx.x % 32];
}

__device__ __forceinline__ void zero(float* slice, int n) {
  for (int e = threadIdx.x; e < n; e += blockDim.x) slice[e] = 0.f;
  __syncthreads();
}

// AHEAD is how many values a thread has on their way before it adds the first.
constexpr int AHEAD = 8;

// embed_conv is a convolution over the embedding: y [batch, time, filters], its first window beginning before the name;
// what lies beyond the name is zero. Warps take positions.
extern "C" __global__ void embed_conv(float* y, const float* table, const float* bias, const unsigned char* codes,
                                      int batch, int time, int window, int rows, int kernel, int filters, int before,
                                      int activation) {
  DYNAMIC_SHARED(float, slice);
  stage(slice, table, rows, kernel, filters);
  int lane = threadIdx.x % 32, f = blockIdx.x * 32 + lane, warps = blockDim.x / 32;
  for (int p = blockIdx.y * warps + threadIdx.x / 32; p < batch * time; p += gridDim.y * warps) {
    const unsigned char* name = codes + (long long)(p / time) * window;
    float sum = f < filters ? bias[f] : 0.f;
    for (int j = 0; j < kernel; j++) {
      int at = p % time + j - before;
      if (at >= 0 && at < window) sum += slice[(j * rows + name[at]) * 32 + lane];
    }
    if (f < filters) y[(long long)p * filters + f] = activated(sum, activation);
  }
}

// scatter adds d [batch, time, filters] to the table rows that a convolution over the embedding reads at each position:
// its gradient, and, with one offset, that of an LSTM's input half.
extern "C" __global__ void __launch_bounds__(1024)
    scatter(float* part, const float* d, const unsigned char* codes, int batch, int time, int window, int rows,
            int kernel, int filters, int before) {
  DYNAMIC_SHARED(float, slice);
  zero(slice, kernel * rows * 32);
  int lane = threadIdx.x % 32, j = threadIdx.x / 32, f = blockIdx.x * 32 + lane;
  int share = (batch + gridDim.y - 1) / gridDim.y, from = blockIdx.y * share,
      to = from + share < batch ? from + share : batch;
  if (f < filters)
    for (int b = from; b < to; b++) {
      const unsigned char* name = codes + (long long)b * window;
      const float* in = d + (long long)b * time * filters + f;
      for (int t = 0; t < time; t += AHEAD) {
        float g[AHEAD];
        int row[AHEAD];
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
          int at = t + i + j - before;
          bool hit = t + i < time && at >= 0 && at < window;
          row[i] = name[hit ? at : 0];
          float got = in[(long long)(hit ? t + i : 0) * filters];
          g[i] = hit ? got : 0.f;
        }
#pragma unroll
        for (int i = 0; i < AHEAD; i++) slice[(j * rows + row[i]) * 32 + lane] += g[i];
      }
    }
  finish(part + (long long)blockIdx.y * kernel * rows * filters, slice, rows, kernel, filters);
}

// windows lays out what each position of a convolution over x [batch, time, channels] reads: y [batch, steps, kernel,
// channels], zeros beyond x.
extern "C" __global__ void windows(float* y, const float* x, int batch, int time, int steps, int kernel, int before,
                                   int channels) {
  EACH(i, (long long)batch * steps * kernel * channels) {
    int c = i % channels, j = i / channels % kernel, t = i / channels / kernel % steps + j - before;
    long long b = i / channels / kernel / steps;
    y[i] = t >= 0 && t < time ? x[(b * time + t) * channels + c] : 0.f;
  }
}

// windows_grad sums up for each position of x the gradients dy of the windows that read it.
extern "C" __global__ void windows_grad(float* dx, const float* dy, int batch, int time, int steps, int kernel,
                                        int before, int channels) {
  EACH(i, (long long)batch * time * channels) {
    int c = i % channels, t = i / channels % time;
    long long b = i / channels / time;
    float sum = 0.f;
    for (int j = 0; j < kernel; j++) {
      int s = t - j + before;
      if (s >= 0 && s < steps) sum += dy[((b * steps + s) * kernel + j) * channels + c];
    }
    dx[i] = sum;
  }
}
