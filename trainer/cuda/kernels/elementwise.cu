// Passes over memory: one thread a value unless said otherwise.
#include "common.cuh"

// add_parts sums parts [parts, n] into out, to what is there with accumulate.
extern "C" __global__ void add_parts(float* out, const float* part, long long n, int parts, int accumulate) {
  EACH(i, n) {
    float sum = accumulate ? out[i] : 0.f;
    for (int p = 0; p < parts; p++) sum += part[p * n + i];
    out[i] = sum;
  }
}

// column_sums gives each share of x [rows, n] its sums: part [gridDim.y, n]. A block is [32 columns, 8 rows].
extern "C" __global__ void column_sums(float* part, const float* x, long long rows, int n) {
  __shared__ float sums[8][33];
  int column = blockIdx.x * 32 + threadIdx.x;
  long long share = (rows + gridDim.y - 1) / gridDim.y, from = blockIdx.y * share,
            end = from + share < rows ? from + share : rows;
  float sum = 0.f;
  if (column < n)
    for (long long r = from + threadIdx.y; r < end; r += 8) sum += x[r * n + column];
  sum = column_total(sum, sums);
  if (threadIdx.y == 0 && column < n) part[(long long)blockIdx.y * n + column] = sum;
}

// activation_sums takes the gradient dy [rows, n], with that many floats from row to row, back through an activation
// whose value was y, in place, and sums it up like column_sums.
extern "C" __global__ void activation_sums(float* part, float* dy, const float* y, int stride, long long rows, int n,
                                           int activation) {
  __shared__ float sums[8][33];
  int column = blockIdx.x * 32 + threadIdx.x;
  long long share = (rows + gridDim.y - 1) / gridDim.y, from = blockIdx.y * share,
            end = from + share < rows ? from + share : rows;
  float sum = 0.f;
  if (column < n)
#pragma unroll 4
    for (long long r = from + threadIdx.y; r < end; r += 8) {
      float v = dy[r * stride + column] * slope(y[r * stride + column], activation);
      dy[r * stride + column] = v;
      sum += v;
    }
  sum = column_total(sum, sums);
  if (threadIdx.y == 0 && column < n) part[(long long)blockIdx.y * n + column] = sum;
}

// transpose writes y [n, m] from x [m, n].
extern "C" __global__ void transpose(float* y, const float* x, int m, int n) {
  EACH(i, (long long)m * n) y[i % n * m + i / n] = x[i];
}

// copy_columns copies x [rows, width] of one row stride to y of another.
extern "C" __global__ void copy_columns(float* y, int yStride, const float* x, int xStride, int rows, int width,
                                        int accumulate) {
  EACH(i, (long long)rows * width) {
    float v = x[i / width * xStride + i % width];
    float* at = y + i / width * yStride + i % width;
    *at = accumulate ? *at + v : v;
  }
}

// threshold is y = x where x > theta, else 0; threshold_grad lets the gradient through there.
extern "C" __global__ void threshold(float* y, const float* x, long long n, float theta) {
  EACH(i, n) y[i] = x[i] <= theta ? 0.f : x[i];
}

extern "C" __global__ void threshold_grad(float* dx, const float* dy, const float* x, long long n, float theta) {
  EACH(i, n) dx[i] = x[i] > theta ? dy[i] : 0.f;
}

// dropout zeroes a share bound·2^-32 of x and scales up the rest. The mask is a function of the key, so the way back
// draws it again; it is that of trainer/graph.
extern "C" __global__ void dropout(float* y, const float* x, long long n, unsigned long long key, unsigned bound,
                                   float scale) {
  EACH(i, n) y[i] = (unsigned)(finalised(key + i * 0xd1342543de82ef95ull) >> 32) < bound ? 0.f : x[i] * scale;
}

// max_pool takes the maximum of windows of pool positions of x [batch, time, channels], the first beginning before the
// input; arg receives the positions.
extern "C" __global__ void max_pool(float* y, int* arg, const float* x, int batch, int time, int windows, int pool,
                                    int before, int channels) {
  EACH(i, (long long)batch * windows * channels) {
    int c = i % channels, w = i / channels % windows;
    long long b = i / channels / windows;
    int from = w * pool - before, to = from + pool < time ? from + pool : time;
    if (from < 0) from = 0;
    float best = x[(b * time + from) * channels + c];
    int at = from;
    for (int t = from + 1; t < to; t++) {
      float v = x[(b * time + t) * channels + c];
      if (v > best || v != v) {
        best = v;
        at = t;
      }
    }
    y[i] = best;
    arg[i] = at;
  }
}

// max_pool_grad is its gradient, one thread a position of x.
extern "C" __global__ void max_pool_grad(float* dx, const float* dy, const int* arg, int batch, int time, int windows,
                                         int pool, int before, int channels) {
  EACH(i, (long long)batch * time * channels) {
    int c = i % channels, t = i / channels % time, w = (t + before) / pool;
    long long b = i / channels / time, from = (b * windows + w) * channels + c;
    dx[i] = w < windows && arg[from] == t ? dy[from] : 0.f;
  }
}

// total sums up what the threads of a block bring, in an order of its own; all get it. sums has a place for each
// thread.
__device__ __forceinline__ double total(double mine, double* sums) {
  __syncthreads(); // the last total has been read
  sums[threadIdx.x] = mine;
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  __syncthreads();
  return sums[0];
}

// target is the share of label k in a target: 1 for a sample's own label, of which a share smooth goes to all alike.
__device__ __forceinline__ float target(int label, int k, int labels, float smooth) {
  return smooth / labels + (k == label ? 1.f - smooth : 0.f);
}

// sample_loss is a sample's cross entropy times its share of the batch, and in grad its gradient by the logits z
// [outputs]: binary for one output, categorical for more.
__device__ __forceinline__ float sample_loss(float* grad, const float* z, int label, float share, int outputs,
                                             float smooth) {
  float sum = 0.f, own = 0.f, top = z[0];
  if (outputs == 1) {
    float y = target(label, 1, 2, smooth);
    grad[0] = (sigmoid(top) - y) * share;
    return (fmaxf(top, 0.f) + log1pf(expf(-fabsf(top))) - y * top) * share;
  }
  for (int k = 1; k < outputs; k++) top = fmaxf(top, z[k]);
  for (int k = 0; k < outputs; k++) sum += expf(z[k] - top);
  for (int k = 0; k < outputs; k++) {
    float y = target(label, k, outputs, smooth);
    grad[k] = (expf(z[k] - top) / sum - y) * share;
    own += y * (z[k] - top);
  }
  return (logf(sum) - own) * share;
}

// cross_entropy is the mean loss of a batch, weighted, in parts [gridDim.x], and its gradient by the logits [batch,
// outputs]. A block is a power of two of threads; each sums the weights up for itself.
extern "C" __global__ void __launch_bounds__(1024)
    cross_entropy(double* parts, float* grad, const float* logits, const int* labels, const float* weights, int batch,
                  int outputs, float smooth) {
  __shared__ double sums[1024];
  double sum = 0;
  for (int b = threadIdx.x; b < batch; b += blockDim.x) sum += weights[b];
  double weight = total(sum, sums);
  sum = 0;
  EACH(b, batch)
    sum += sample_loss(grad + b * outputs, logits + b * outputs, labels[b], weights[b] / weight, outputs, smooth);
  sum = total(sum, sums);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// add_loss sums the parts of a batch's loss up and adds that, count times, to an epoch's. One thread.
extern "C" __global__ void add_loss(double* loss, double* epoch, const double* parts, int n, int count) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += parts[i];
  *loss = sum;
  *epoch += sum * count;
}

// adam is package kernels' Adam; with b1 0 and d1 1 it is RMSProp. The first decayed parameters shrink by keep. A batch
// whose loss is no number leaves everything alone.
extern "C" __global__ void adam(float* w, const float* grad, float* m, float* v, long long n, long long decayed,
                                float b1, float d1, float b2, float d2, float rate, float epsilon, float inverse,
                                float keep, const double* loss) {
  if (!(*loss - *loss == 0)) return;
  EACH(i, n) {
    float g = grad[i], mi = b1 * m[i] + d1 * g, vi = b2 * v[i] + d2 * g * g;
    m[i] = mi;
    v[i] = vi;
    w[i] = (i < decayed ? keep : 1.f) * w[i] - rate * mi / (sqrtf(vi) * inverse + epsilon);
  }
}
