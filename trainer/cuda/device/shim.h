// The words of CUDA C++ that the kernels use, for a C++ compiler: with them kernels/*.cu run on the CPU, thread by
// thread, and every index, barrier and exchange between the lanes of a warp can be tested without a GPU. emulate.cpp
// has the machine behind it. It is for correctness only: it is thousands of times slower than a GPU.
//
// What differs from a GPU, on purpose: memory begins as NaN instead of zeros, the threads run in an order that turns
// round at every barrier, and what CUDA leaves undefined (a barrier that some threads miss, a lane that reads one
// outside its mask, a misaligned vector, an index past an array's end) ends the kernel with an error.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// A section of their own lets emulate.cpp fill all shared variables with NaN before each block.
#define __shared__ static __attribute__((section("emulated_shared")))
#define DYNAMIC_SHARED(type, name) type *name = reinterpret_cast<type *>(emulated::dynamic_shared())

#define __syncthreads() emulated::barrier(__FILE__, __LINE__)

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct float3 { float x, y, z; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline uint3 threadIdx, blockIdx; // of the thread that runs
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace emulated {

// Ends the kernel with an error; the running thread does not come back.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void barrier(const char *file, int line);
void *dynamic_shared();
int lane(); // of the running thread, 0..31

// Whole is run by the last lane that comes to a meeting: lanes[i] is what lane i brought, null where the block has no
// such thread. It leaves each lane's result in what the lane brought.
using Whole = void (*)(void (*typed)(), void *const *lanes);

// Suspends the running thread until all lanes of the mask have called it with the same kind and mask.
void meet(const char *kind, unsigned mask, void *mine, Whole whole, void (*typed)());

template <class T> struct Same { using type = T; }; // keeps T from being deduced from a lambda

template <class T>
void collective(const char *kind, unsigned mask, T *mine, typename Same<void (*)(T *const *)>::type whole) {
	const Whole untyped = [](void (*typed)(), void *const *lanes) {
		T *brought[32];
		for (int i = 0; i < 32; i++) {
			brought[i] = static_cast<T *>(lanes[i]);
		}
		reinterpret_cast<void (*)(T *const *)>(typed)(brought);
	};
	meet(kind, mask, mine, untyped, reinterpret_cast<void (*)()>(whole));
}

// What a lane brings to a shuffle: its value and whose it wants.
template <class T> struct Exchange {
	T value;
	int source;
	unsigned mask;
	T result;
};

template <class T> T shuffle(const char *kind, unsigned mask, T value, int source) {
	static_assert(sizeof(T) == 4, "only values of 32 bits are shuffled");
	Exchange<T> mine = {value, source, mask, value};
	collective(kind, mask, &mine, [](Exchange<T> *const *lanes) {
		for (int i = 0; i < 32; i++) {
			if (lanes[i] == nullptr) {
				continue;
			}
			const int from = lanes[i]->source;
			if (!(lanes[i]->mask >> from & 1)) {
				fail("lane %d reads lane %d, which is not in the mask %#x", i, from, lanes[i]->mask);
			}
			if (lanes[from] == nullptr) { // the block has no such thread
				memset(&lanes[i]->result, 0xff, sizeof(T));
			} else {
				lanes[i]->result = lanes[from]->value;
			}
		}
	});
	return mine.result;
}

// What a lane brings to a vote.
struct Vote {
	bool yes;
	unsigned ballot;
};

inline unsigned vote(const char *kind, unsigned mask, bool yes) {
	Vote mine = {yes, 0};
	collective(kind, mask, &mine, [](Vote *const *lanes) {
		unsigned ballot = 0;
		for (int i = 0; i < 32; i++) {
			ballot |= static_cast<unsigned>(lanes[i] != nullptr && lanes[i]->yes) << i;
		}
		for (int i = 0; i < 32; i++) {
			if (lanes[i] != nullptr) {
				lanes[i]->ballot = ballot;
			}
		}
	});
	return mine.ballot;
}

} // namespace emulated

// Exchanges within a warp, or within each of its parts of width lanes (a power of two).

template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
	const int first = emulated::lane() & ~(width - 1);
	return emulated::shuffle("__shfl_sync", mask, value, first | (source & (width - 1)));
}

template <class T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
	const int lane = emulated::lane(), source = lane ^ bits, end = (lane & ~(width - 1)) + width;
	return emulated::shuffle("__shfl_xor_sync", mask, value, source < end ? source : lane);
}

template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
	const int lane = emulated::lane(), source = lane + static_cast<int>(by), end = (lane & ~(width - 1)) + width;
	return emulated::shuffle("__shfl_down_sync", mask, value, source < end ? source : lane);
}

template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
	const int lane = emulated::lane(), source = lane - static_cast<int>(by), first = lane & ~(width - 1);
	return emulated::shuffle("__shfl_up_sync", mask, value, source >= first ? source : lane);
}

inline unsigned __ballot_sync(unsigned mask, int yes) { return emulated::vote("__ballot_sync", mask, yes != 0); }
inline int __any_sync(unsigned mask, int yes) { return emulated::vote("__any_sync", mask, yes != 0) != 0; }
inline int __all_sync(unsigned mask, int yes) { return emulated::vote("__all_sync", mask, yes == 0) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu) { emulated::vote("__syncwarp", mask, true); }

// Memory. One thread runs at a time, so that reading and writing back is atomic.

template <class T> T __ldg(const T *from) { return *from; }
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T> T emulated_add(T *to, T value) {
	const T before = *to;
	*to = before + value;
	return before;
}
inline float atomicAdd(float *to, float value) { return emulated_add(to, value); }
inline int atomicAdd(int *to, int value) { return emulated_add(to, value); }
inline unsigned atomicAdd(unsigned *to, unsigned value) { return emulated_add(to, value); }
inline double atomicAdd(double *to, double value) { return emulated_add(to, value); }
inline unsigned long long atomicAdd(unsigned long long *to, unsigned long long value) {
	return emulated_add(to, value);
}

inline int atomicMax(int *to, int value) {
	const int before = *to;
	*to = before > value ? before : value;
	return before;
}

// Arithmetic. expf, logf, tanhf, fmaxf, fmaf and their like are those of the C library.

inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }

inline int min(int x, int y) { return y < x ? y : x; }
inline int max(int x, int y) { return x < y ? y : x; }
inline unsigned min(unsigned x, unsigned y) { return y < x ? y : x; }
inline unsigned max(unsigned x, unsigned y) { return x < y ? y : x; }
inline long long min(long long x, long long y) { return y < x ? y : x; }
inline long long max(long long x, long long y) { return x < y ? y : x; }
inline float min(float x, float y) { return fminf(x, y); }
inline float max(float x, float y) { return fmaxf(x, y); }

template <class To, class From> To emulated_bits(From from) {
	static_assert(sizeof(To) == sizeof(From), "bits of one size");
	To to;
	memcpy(&to, &from, sizeof to);
	return to;
}
inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
inline int __float_as_int(float x) { return emulated_bits<int>(x); }
inline float __int_as_float(int x) { return emulated_bits<float>(x); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<unsigned>(static_cast<uint64_t>(x) * y >> 32); }
