// Tensor-core products of one warp, and the roundings that feed them, as the kernels use them. With a CUDA compiler
// they are single PTX instructions of compute capability 8.0; under the CPU emulation (package device, tag emulate)
// they are the same functions on ../device/shim.h, with the same layout of every fragment, so that a kernel whose
// indices are right there is right here.
//
// A kernel's dynamic shared memory is declared with DYNAMIC_SHARED(type, name), which makes a type *name aligned to
// 16 bytes: two kernels of one file may give it different types.
#pragma once

// In the layouts below a lane's number is lane = threadIdx.x & 31 (of a block whose x is a multiple of 32),
// g = lane >> 2 is its group (0..7) and t = lane & 3 its place in the group. (PTX ISA, "Matrix Fragments for
// mma.m16n8k16 with floating point type" and "... mma.m16n8k8".)
//
// mma_bf16: c[16 x 8] += a[16 x 16] b[16 x 8], bf16 times bf16 into float; element 0 of a pair is in the low half.
//   a[0] = row g,     columns 2t, 2t+1        b[0] = rows 2t, 2t+1,    column g
//   a[1] = row g + 8, columns 2t, 2t+1        b[1] = rows 2t+8, 2t+9,  column g
//   a[2] = row g,     columns 2t+8, 2t+9
//   a[3] = row g + 8, columns 2t+8, 2t+9
//
// mma_tf32: c[16 x 8] += a[16 x 8] b[8 x 8]; each register is one float whose low 13 bits do not count.
//   a[0] = row g,     column t                b[0] = row t,     column g
//   a[1] = row g + 8, column t                b[1] = row t + 4, column g
//   a[2] = row g,     column t + 4
//   a[3] = row g + 8, column t + 4
//
// c of both:
//   c[0], c[1] = row g,     columns 2t, 2t+1
//   c[2], c[3] = row g + 8, columns 2t, 2t+1
//
// All 32 lanes of the warp must call them together.

// ldmatrix and ldmatrix_trans load four matrices of 8 x 8 halves (bf16 or f16) from shared memory: lanes 8i to 8i + 7
// bring the places of the rows of matrix i, of 16 bytes each and aligned to as many.
//   ldmatrix:       r[i] = of matrix i, row g, columns 2t, 2t+1
//   ldmatrix_trans: r[i] = of matrix i, rows 2t, 2t+1, column g
//
// All 32 lanes of the warp must call them together.

// Copies is one thread's copies of 16 bytes from global to shared memory, both aligned to as many, that go on beside
// what it computes: start begins one, of zeros where nothing is inside, commit closes a group of them, and after
// wait<n> all groups but the last n have arrived. Other threads see them after a barrier that follows.

// The two floats of a pair of bf16, exactly.
__device__ __forceinline__ float bf16_lo(unsigned pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float bf16_hi(unsigned pair) { return __uint_as_float(pair & 0xffff0000u); }

#ifdef __CUDACC__

#define DYNAMIC_SHARED(type, name)                                     \
	extern __shared__ __align__(16) unsigned char degas_dynamic_shared[]; \
	type *name = reinterpret_cast<type *>(degas_dynamic_shared)

// Two floats rounded to the nearest bf16, ties to even; lo goes to the low half.
__device__ __forceinline__ unsigned pack_bf16(float lo, float hi) {
	unsigned pair;
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
	return pair;
}

// The same for f16, infinite beyond 65504, and the two floats of such a pair.
__device__ __forceinline__ unsigned pack_f16(float lo, float hi) {
	unsigned pair;
	asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
	return pair;
}

__device__ __forceinline__ float2 unpack_f16(unsigned pair) {
	float2 x;
	asm("{.reg .f16 lo, hi; mov.b32 {lo, hi}, %2; cvt.f32.f16 %0, lo; cvt.f32.f16 %1, hi;}"
		: "=f"(x.x), "=f"(x.y)
		: "r"(pair));
	return x;
}

// The sums and the larger of two pairs of f16, half by half; NaN where one is NaN.
__device__ __forceinline__ unsigned add_f16(unsigned a, unsigned b) {
	unsigned sum;
	asm("add.rn.f16x2 %0, %1, %2;" : "=r"(sum) : "r"(a), "r"(b));
	return sum;
}

__device__ __forceinline__ unsigned max_f16(unsigned a, unsigned b) {
	unsigned larger;
	asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(larger) : "r"(a), "r"(b));
	return larger;
}

// Where a half of a is larger than that of b, at becomes t.
__device__ __forceinline__ void note_larger_f16(unsigned a, unsigned b, int t, int& atLo, int& atHi) {
	asm("{.reg .pred p, q; setp.gt.f16x2 p|q, %2, %3; selp.b32 %0, %4, %0, p; selp.b32 %1, %4, %1, q;}"
		: "+r"(atLo), "+r"(atHi)
		: "r"(a), "r"(b), "r"(t));
}

__device__ __forceinline__ void ldmatrix(unsigned (&r)[4], const void* row) {
	unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
				 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
				 : "r"(at)
				 : "memory");
}

__device__ __forceinline__ void ldmatrix_trans(unsigned (&r)[4], const void* row) {
	unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
				 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
				 : "r"(at)
				 : "memory");
}

struct Copies {
	__device__ __forceinline__ void start(void* to, const void* from, bool inside) {
		unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(to)), bytes = inside ? 16 : 0;
		asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
					 :
					 : "r"(at), "l"(__cvta_generic_to_global(from)), "r"(bytes)
					 : "memory");
	}
	__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;" : : : "memory"); }
	template <int n> __device__ __forceinline__ void wait() {
		asm volatile("cp.async.wait_group %0;" : : "n"(n) : "memory");
	}
};

// A float rounded to the nearest of 10 bits of mantissa, ties away from zero.
__device__ __forceinline__ float to_tf32(float x) {
	unsigned bits;
	asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
	return __uint_as_float(bits);
}

__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
	asm(
		"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		: "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
	asm(
		"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		: "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else

inline unsigned round_bf16(float x) {
	const unsigned bits = __float_as_uint(x);
	if (x != x) {
		return 0x7fff;
	}
	return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

inline unsigned pack_bf16(float lo, float hi) { return round_bf16(lo) | round_bf16(hi) << 16; }

inline unsigned round_f16(float x) {
	const unsigned bits = __float_as_uint(x), sign = bits >> 16 & 0x8000;
	const float size = fabsf(x);
	if (x != x) {
		return 0x7fff;
	}
	if (size >= 65520.f) { // half a step above the largest
		return sign | 0x7c00;
	}
	if (size < 6.103515625e-5f) { // below 2^-14, steps of 2^-24
		return sign | static_cast<unsigned>(nearbyintf(size * 16777216.f));
	}
	const unsigned magnitude = bits & 0x7fffffffu;
	return sign | ((magnitude + 0xfff + (magnitude >> 13 & 1)) - 0x38000000u) >> 13;
}

inline float widen_f16(unsigned half) {
	const float sign = half & 0x8000 ? -1.f : 1.f;
	const int exponent = half >> 10 & 31, mantissa = half & 1023;
	if (exponent == 31) {
		return mantissa ? NAN : sign * INFINITY;
	}
	return sign * (exponent ? ldexpf(1024 + mantissa, exponent - 25) : ldexpf(mantissa, -24));
}

inline unsigned pack_f16(float lo, float hi) { return round_f16(lo) | round_f16(hi) << 16; }
inline float2 unpack_f16(unsigned pair) { return {widen_f16(pair & 0xffff), widen_f16(pair >> 16)}; }

inline unsigned add_f16(unsigned a, unsigned b) {
	const float2 x = unpack_f16(a), y = unpack_f16(b);
	return pack_f16(x.x + y.x, x.y + y.y);
}

inline unsigned max_f16(unsigned a, unsigned b) {
	const float2 x = unpack_f16(a), y = unpack_f16(b);
	return pack_f16(x.x > y.x || x.x != x.x ? x.x : y.x, x.y > y.y || x.y != x.y ? x.y : y.y);
}

inline void note_larger_f16(unsigned a, unsigned b, int t, int& atLo, int& atHi) {
	const float2 x = unpack_f16(a), y = unpack_f16(b);
	atLo = x.x > y.x ? t : atLo;
	atHi = x.y > y.y ? t : atHi;
}

// What one lane brings to ldmatrix and what it gets.
struct Rows {
	const void *row;
	unsigned r[4];
};

__attribute__((no_sanitize("alignment", "bounds"))) inline unsigned half_at(
	Rows *const *lanes, int matrix, int row, int column) {
	unsigned short half;
	memcpy(&half, static_cast<const char *>(lanes[matrix * 8 + row]->row) + 2 * column, 2);
	return half;
}

template <bool trans> inline void load_matrices(const char *kind, unsigned (&r)[4], const void *row) {
	if (reinterpret_cast<uintptr_t>(row) % 16 != 0) {
		emulated::fail("%s: a row is not aligned to 16 bytes", kind);
	}
	Rows mine = {row, {}};
	emulated::collective(kind, 0xffffffffu, &mine, [](Rows *const *lanes) {
		for (int lane = 0; lane < 32; lane++) {
			const int g = lane >> 2, t = lane & 3;
			for (int i = 0; i < 4; i++) {
				const unsigned lo = trans ? half_at(lanes, i, 2 * t, g) : half_at(lanes, i, g, 2 * t);
				const unsigned hi = trans ? half_at(lanes, i, 2 * t + 1, g) : half_at(lanes, i, g, 2 * t + 1);
				lanes[lane]->r[i] = lo | hi << 16;
			}
		}
	});
	memcpy(r, mine.r, sizeof r);
}

inline void ldmatrix(unsigned (&r)[4], const void *row) { load_matrices<false>("ldmatrix", r, row); }
inline void ldmatrix_trans(unsigned (&r)[4], const void *row) { load_matrices<true>("ldmatrix_trans", r, row); }

// As late as they may come: until they are waited for there is NaN.
class Copies {
	struct Copy {
		void *to;
		const void *from; // null for zeros
		int group;
	} pending[64];
	int count = 0, group = 0;

public:
	void start(void *to, const void *from, bool inside) {
		if (reinterpret_cast<uintptr_t>(to) % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0) {
			emulated::fail("a copy of 16 bytes is not aligned to as many");
		}
		if (count == 64) {
			emulated::fail("more than 64 copies on their way");
		}
		memset(to, 0xff, 16);
		pending[count++] = {to, inside ? from : nullptr, group};
	}
	void commit() { group++; }
	template <int n> void wait() {
		int kept = 0;
		for (int i = 0; i < count; i++) {
			if (pending[i].group >= group - n) {
				pending[kept++] = pending[i];
			} else if (pending[i].from == nullptr) {
				memset(pending[i].to, 0, 16);
			} else {
				memcpy(pending[i].to, pending[i].from, 16);
			}
		}
		count = kept;
	}
};

inline float to_tf32(float x) {
	const unsigned bits = __float_as_uint(x);
	if ((bits & 0x7f800000u) == 0x7f800000u) { // infinities and NaN stay
		return x;
	}
	return __uint_as_float((bits + 0x1000) & 0xffffe000u);
}

// What one lane brings to a product.
struct Fragments {
	float *c;
	const unsigned *a, *b;
};

// Adds the product of the matrices a[16][depth] and b[depth][8] to the fragments of c.
template <int depth>
__attribute__((no_sanitize("alignment", "bounds"))) inline void emulated_product(
	Fragments *const *lanes, const float (*a)[depth], const float (*b)[8]) {
	float sums[16][8] = {};
	for (int row = 0; row < 16; row++) {
		for (int k = 0; k < depth; k++) {
			for (int column = 0; column < 8; column++) {
				sums[row][column] += a[row][k] * b[k][column];
			}
		}
	}
	for (int lane = 0; lane < 32; lane++) {
		for (int i = 0; i < 4; i++) {
			lanes[lane]->c[i] += sums[(lane >> 2) + (i >> 1) * 8][(lane & 3) * 2 + (i & 1)];
		}
	}
}

inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
	Fragments mine = {c, a, b};
	emulated::collective("mma_bf16", 0xffffffffu, &mine, [](Fragments *const *lanes) {
		float left[16][16], right[16][8];
		for (int lane = 0; lane < 32; lane++) {
			const int g = lane >> 2, t = lane & 3;
			for (int i = 0; i < 4; i++) {
				const int row = g + (i & 1) * 8, column = 2 * t + (i >> 1) * 8;
				left[row][column] = bf16_lo(lanes[lane]->a[i]);
				left[row][column + 1] = bf16_hi(lanes[lane]->a[i]);
			}
			for (int i = 0; i < 2; i++) {
				right[2 * t + i * 8][g] = bf16_lo(lanes[lane]->b[i]);
				right[2 * t + i * 8 + 1][g] = bf16_hi(lanes[lane]->b[i]);
			}
		}
		emulated_product<16>(lanes, left, right);
	});
}

inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
	Fragments mine = {c, a, b};
	emulated::collective("mma_tf32", 0xffffffffu, &mine, [](Fragments *const *lanes) {
		float left[16][8], right[8][8];
		for (int lane = 0; lane < 32; lane++) {
			const int g = lane >> 2, t = lane & 3;
			for (int i = 0; i < 4; i++) {
				left[g + (i & 1) * 8][t + (i >> 1) * 4] = __uint_as_float(lanes[lane]->a[i] & 0xffffe000u);
			}
			for (int i = 0; i < 2; i++) {
				right[t + i * 4][g] = __uint_as_float(lanes[lane]->b[i] & 0xffffe000u);
			}
		}
		emulated_product<8>(lanes, left, right);
	});
}

#endif
