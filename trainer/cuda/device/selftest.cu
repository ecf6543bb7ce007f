// Kernels that try the emulator, for emulate_test.go. No part of the product's PTX.

#define SELFTEST_KERNELS                                                                            \
	KERNEL(selftest_arguments) KERNEL(selftest_reverse) KERNEL(selftest_warp) KERNEL(selftest_missed) \
	KERNEL(selftest_left) KERNEL(selftest_poison) KERNEL(selftest_mma) KERNEL(selftest_shared_overrun) \
	KERNEL(selftest_misaligned) KERNEL(selftest_bounds) KERNEL(selftest_race) KERNEL(selftest_atomic) \
	KERNEL(selftest_absent) KERNEL(selftest_shapes) KERNEL(selftest_pairs) KERNEL(selftest_matrices)

// Parameters of every size, and the numbers of blocks and threads.
extern "C" __global__ void selftest_arguments(float *__restrict__ out, int stride, float scale, unsigned char add) {
	const int i = blockIdx.x * blockDim.x + threadIdx.x;
	out[i * stride] = scale * i + add;
}

// Numbers each thread of a three-dimensional grid.
extern "C" __global__ void __launch_bounds__(64) selftest_shapes(int *out) {
	const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
	const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
	out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] += block * 1000 + thread;
}

// Reverses the block's part of data in rounds, through dynamic and static shared memory.
extern "C" __global__ void selftest_reverse(int *data, int rounds) {
	DYNAMIC_SHARED(int, first);
	__shared__ int second[256];
	const int i = threadIdx.x, last = blockDim.x - 1;
	data += blockIdx.x * blockDim.x;
	for (int r = 0; r < rounds; r++) {
		first[i] = data[i];
		__syncthreads();
		second[i] = first[last - i];
		__syncthreads();
		data[i] = second[i] + r;
	}
}

// Sums of the warp, by every way lanes exchange: out [threads][8].
extern "C" __global__ void selftest_warp(float *out) {
	const int lane = threadIdx.x & 31;
	float sum = threadIdx.x, down = threadIdx.x;
	for (int bits = 16; bits > 0; bits >>= 1) {
		sum += __shfl_xor_sync(0xffffffffu, sum, bits);
		down += __shfl_down_sync(0xffffffffu, down, bits);
	}
	out += threadIdx.x * 8;
	out[0] = sum;
	out[1] = __shfl_sync(0xffffffffu, down, 0);
	out[2] = __shfl_sync(0xffffffffu, lane, lane + 1, 8);
	out[3] = __popc(__ballot_sync(0xffffffffu, lane % 3 == 0));
	out[4] = __shfl_up_sync(0xffffffffu, static_cast<unsigned>(lane), 4, 16);
	if (lane < 16) { // half a warp by itself
		out[5] = __shfl_xor_sync(0x0000ffffu, lane, 1);
	} else {
		out[5] = __shfl_xor_sync(0xffff0000u, lane, 2);
	}
	__syncwarp();
	out[6] = __any_sync(0xffffffffu, lane == 7);
	out[7] = __all_sync(0xffffffffu, lane == 7);
}

// One thread does not come to the barrier: it leaves, or waits at another.
extern "C" __global__ void selftest_missed(int other) {
	if (threadIdx.x == 5) {
		if (other) {
			__syncthreads();
		}
		return;
	}
	__syncthreads();
}

// Lane 3 does not come to the exchange.
extern "C" __global__ void selftest_left(int *out, int leave) {
	if (threadIdx.x == 3) {
		if (!leave) {
			__syncthreads();
		}
		return;
	}
	out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, static_cast<int>(threadIdx.x), 1);
	__syncthreads();
}

// A lane reads one outside its mask.
extern "C" __global__ void selftest_absent(int *out) {
	if (threadIdx.x < 16) {
		out[threadIdx.x] = __shfl_down_sync(0xffffu, static_cast<int>(threadIdx.x), 1);
	}
}

// Shared memory nobody wrote, in two blocks one after the other.
extern "C" __global__ void selftest_poison(float *out) {
	DYNAMIC_SHARED(float, unwritten);
	__shared__ float also[4];
	out[blockIdx.x * 2] = unwritten[3];
	out[blockIdx.x * 2 + 1] = also[3];
	unwritten[3] = also[3] = 1;
}

// A read of another thread's value without a barrier between, later (by = 1) or earlier (by = -1) in order.
extern "C" __global__ void selftest_race(float *out, int by) {
	DYNAMIC_SHARED(float, values);
	values[threadIdx.x] = 1;
	out[threadIdx.x] = values[(threadIdx.x + by + blockDim.x) % blockDim.x];
}

extern "C" __global__ void selftest_shared_overrun(int at) {
	DYNAMIC_SHARED(int, values);
	values[at] = 7;
}

extern "C" __global__ void selftest_misaligned(const float *in, float *out) {
	const float4 four = *reinterpret_cast<const float4 *>(in + 1);
	out[0] = four.x + four.w;
}

extern "C" __global__ void selftest_bounds(float *out, int at) {
	float values[4] = {1, 2, 3, 4};
	out[0] = values[at];
}

extern "C" __global__ void selftest_atomic(float *sum, int *count) {
	atomicAdd(sum, 0.5f);
	atomicAdd(count, 2);
}

// c[16][8] = a[16][depth] b[depth][8] of whole floats by one warp, depth 16 of bf16 or 8 of tf32.
extern "C" __global__ void selftest_mma(const float *a, const float *b, float *c, int bf16) {
	const int g = threadIdx.x >> 2, t = threadIdx.x & 3;
	float sum[4] = {1, 1, 1, 1}; // what is there already is added to
	unsigned left[4], right[2];
	if (bf16) {
		for (int i = 0; i < 4; i++) {
			const float *at = a + (g + (i & 1) * 8) * 16 + 2 * t + (i >> 1) * 8;
			left[i] = pack_bf16(at[0], at[1]);
		}
		for (int i = 0; i < 2; i++) {
			const float *at = b + (2 * t + i * 8) * 8 + g;
			right[i] = pack_bf16(at[0], at[8]);
		}
		mma_bf16(sum, left, right);
	} else {
		for (int i = 0; i < 4; i++) {
			left[i] = __float_as_uint(to_tf32(a[(g + (i & 1) * 8) * 8 + t + (i >> 1) * 4]));
		}
		for (int i = 0; i < 2; i++) {
			right[i] = __float_as_uint(to_tf32(b[(t + i * 4) * 8 + g]));
		}
		mma_tf32(sum, left, right);
	}
	for (int i = 0; i < 4; i++) {
		c[(g + (i >> 1) * 8) * 8 + 2 * t + (i & 1)] = sum[i];
	}
}

// Pairs of f16: each thread has four floats in and eight out.
extern "C" __global__ void selftest_pairs(const float *in, float *out) {
	in += threadIdx.x * 4;
	out += threadIdx.x * 8;
	const unsigned a = pack_f16(in[0], in[1]), b = pack_f16(in[2], in[3]);
	int lo = -1, hi = -1;
	note_larger_f16(a, b, 7, lo, hi);
	const float2 same = unpack_f16(a), sum = unpack_f16(add_f16(a, b)), larger = unpack_f16(max_f16(a, b));
	const float all[8] = {
		same.x, same.y, sum.x, sum.y, larger.x, larger.y, static_cast<float>(lo), static_cast<float>(hi)};
	for (int i = 0; i < 8; i++) {
		out[i] = all[i];
	}
}

// Four matrices in [32][4] words by way of shared memory, where all but the first `inside` rows are zeros: out [32][4]
// and [32] of what is there before a copy is waited for.
extern "C" __global__ void selftest_matrices(const unsigned *in, unsigned *out, int inside, int trans) {
	DYNAMIC_SHARED(uint4, rows);
	const int lane = threadIdx.x;
	Copies copies;
	copies.start(&rows[lane], in + lane * 4, lane < inside);
	copies.commit();
	copies.wait<1>();
	out[128 + lane] = rows[lane].x;
	copies.wait<0>();
	__syncthreads();
	unsigned r[4];
	if (trans) {
		ldmatrix_trans(r, &rows[lane]);
	} else {
		ldmatrix(r, &rows[lane]);
	}
	for (int i = 0; i < 4; i++) {
		out[lane * 4 + i] = r[i];
	}
}
