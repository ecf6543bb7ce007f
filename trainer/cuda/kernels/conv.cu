// Convolutions. Over the embedding they are sums of rows of a folded table T[code][j][filter]: a block holds the part of 32
// filters in shared memory, [kernel][rows][32], and its lanes are filters.
#include "common.cuh"

// stage loads a block's filters of the table; columns beyond the last are zero.
__device__ __forceinline__ void stage(float* slice, const float* table, int rows, int kernel, int filters) {
  for (int e = threadIdx.x; e < kernel * rows * 32; e += blockDim.x) {
    int f = blockIdx.x * 32 + e % 32, code = e / 32 % rows, j = e / 32 / rows;
    slice[e] = f < filters ? table[((long long)code * kernel + j) * filters + f] : 0.f;
  }
  __syncthreads();
}

// Best is the largest sum over the windows from..to of a name, and where it is.
struct Best {
  float sum;
  int at;
};

// best walks the windows of K codes, of which it keeps the places in registers. K 0 is any kernel.
template <int K> __device__ __forceinline__ Best best(const float* slice, const unsigned char* name, int from, int to, int rows, int kernel) {
  Best top = {0.f, from};
  int place[K > 0 ? K : 1];
#pragma unroll
  for (int j = 1; j < K; j++) place[j] = name[from + j - 1] * 32;
  for (int t = from; t <= to; t++) {
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
    if (t == from || sum > top.sum) top = {sum, t};
  }
  return top;
}

// conv_max is a valid convolution, a maximum over time, a bias and an activation, which must not fall: y and arg [batch,
// filters]. Windows that lie wholly in padding are equal, so one of them is enough. Warps take names.
extern "C" __global__ void __launch_bounds__(512) conv_max(float* y, int* arg, const float* table, const float* bias, const unsigned char* codes,
                                                           const int* chars, int batch, int window, int rows, int kernel, int filters, int left, int activation) {
  DYNAMIC_SHARED(float, slice);
  stage(slice, table, rows, kernel, filters);
  int lane = threadIdx.x % 32, f = blockIdx.x * 32 + lane, warps = blockDim.x / 32;
  for (int b = blockIdx.y * warps + threadIdx.x / 32; b < batch; b += gridDim.y * warps) {
    const unsigned char* name = codes + (long long)b * window;
    int from = 0, to = window - kernel;
    if (left) from = to - chars[b] > 0 ? to - chars[b] : 0;
    else to = chars[b] < to ? chars[b] : to;
    Best top;
    switch (kernel) {
    case 2: top = best<2>(slice + lane, name, from, to, rows, kernel); break;
    case 3: top = best<3>(slice + lane, name, from, to, rows, kernel); break;
    case 4: top = best<4>(slice + lane, name, from, to, rows, kernel); break;
    case 5: top = best<5>(slice + lane, name, from, to, rows, kernel); break;
    case 6: top = best<6>(slice + lane, name, from, to, rows, kernel); break;
    default: top = best<0>(slice + lane, name, from, to, rows, kernel);
    }
    if (f < filters) {
      y[(long long)b * filters + f] = activated(top.sum + bias[f], activation);
      arg[(long long)b * filters + f] = top.at;
    }
  }
}

// finish writes a block's sums to its share of part [shares, rows, kernel, filters].
__device__ __forceinline__ void finish(float* part, const float* slice, int rows, int kernel, int filters) {
  __syncthreads();
  part += (long long)blockIdx.y * rows * kernel * filters;
  for (int e = threadIdx.x; e < kernel * rows * 32; e += blockDim.x) {
    int f = blockIdx.x * 32 + e % 32, code = e / 32 % rows, j = e / 32 / rows;
    if (f < filters) part[((long long)code * kernel + j) * filters + f] = slice[e];
  }
}

__device__ __forceinline__ void zero(float* slice, int n) {
  for (int e = threadIdx.x; e < n; e += blockDim.x) slice[e] = 0.f;
  __syncthreads();
}

// AHEAD is how many values a thread has on their way before it adds the first.
constexpr int AHEAD = 8;

// conv_max_grad adds the gradient d [batch, filters] of the sums to the table rows that won. Warp j has the rows of offset j
// to itself, so that nothing is added atomically; a block takes a share of the names.
extern "C" __global__ void conv_max_grad(float* part, const float* d, const int* arg, const unsigned char* codes, int batch, int window, int rows, int kernel,
                                         int filters) {
  DYNAMIC_SHARED(float, slice);
  zero(slice, kernel * rows * 32);
  int lane = threadIdx.x % 32, j = threadIdx.x / 32, f = blockIdx.x * 32 + lane;
  int share = (batch + gridDim.y - 1) / gridDim.y, from = blockIdx.y * share, to = from + share < batch ? from + share : batch;
  if (f < filters)
    for (int b = from; b < to; b += AHEAD) {
      float g[AHEAD];
      int row[AHEAD];
#pragma unroll
      for (int i = 0; i < AHEAD; i++) {
        int name = b + i < to ? b + i : from;
        long long at = (long long)name * filters + f;
        g[i] = b + i < to ? d[at] : 0.f;
        row[i] = codes[(long long)name * window + arg[at] + j];
      }
#pragma unroll
      for (int i = 0; i < AHEAD; i++) slice[(j * rows + row[i]) * 32 + lane] += g[i];
    }
  finish(part, slice, rows, kernel, filters);
}

// embed_conv is a convolution over the embedding: y [batch, time, filters], its first window beginning before the name;
// what lies beyond the name is zero. Warps take positions.
extern "C" __global__ void embed_conv(float* y, const float* table, const float* bias, const unsigned char* codes, int batch, int time, int window, int rows,
                                      int kernel, int filters, int before, int activation) {
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

// scatter adds d [batch, time, filters] to the table rows that a convolution over the embedding reads at each position: its
// gradient, and, with one offset, that of an LSTM's input half.
extern "C" __global__ void scatter(float* part, const float* d, const unsigned char* codes, int batch, int time, int window, int rows, int kernel, int filters,
                                   int before) {
  DYNAMIC_SHARED(float, slice);
  zero(slice, kernel * rows * 32);
  int lane = threadIdx.x % 32, j = threadIdx.x / 32, f = blockIdx.x * 32 + lane;
  int share = (batch + gridDim.y - 1) / gridDim.y, from = blockIdx.y * share, to = from + share < batch ? from + share : batch;
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
  finish(part, slice, rows, kernel, filters);
}


// windows lays out what each position of a convolution over x [batch, time, channels] reads: y [batch, steps, kernel,
// channels], zeros beyond x.
extern "C" __global__ void windows(float* y, const float* x, int batch, int time, int steps, int kernel, int before, int channels) {
  EACH(i, (long long)batch * steps * kernel * channels) {
    int c = i % channels, j = i / channels % kernel, t = i / channels / kernel % steps + j - before;
    long long b = i / channels / kernel / steps;
    y[i] = t >= 0 && t < time ? x[(b * time + t) * channels + c] : 0.f;
  }
}

// windows_grad sums up for each position of x the gradients dy of the windows that read it.
extern "C" __global__ void windows_grad(float* dx, const float* dy, int batch, int time, int steps, int kernel, int before, int channels) {
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
