//go:build gpu && !emulate

// Stands in for libcuda.so.1, so that a program built with -tags gpu starts on a machine without an NVIDIA driver, and
// does not load the driver before it is wanted. Each function of the driver that gorgonia.org/cu calls is defined here
// as a jump to wherever its slot points: to not_started, until degas_cuda_start has found it in the library. Defined
// in the program itself, they are what the linker takes, whatever -lcuda brings.
//
// cuInit is another matter: cu calls it when the program starts and exits when it fails. Here it does nothing, and
// degas_cuda_start does its work.

#include <cuda.h>
#include <dlfcn.h>

#define JOINED(a, b) a##b
#define JOIN(a, b) JOINED(a, b)
#define QUOTED(a) #a
#define QUOTE(a) QUOTED(a)
#define SLOT(name) JOIN(degas_slot_, name) // cuda.h defines many names as others, such as cuMemAlloc as cuMemAlloc_v2

static CUresult not_started(void) { return CUDA_ERROR_NOT_INITIALIZED; }

#define FUNCTION(name) __attribute__((visibility("hidden"))) void *SLOT(name) = (void *)not_started;
#include "driver_functions.h"
#undef FUNCTION

#if defined(__x86_64__)
#define JUMP(slot) "jmp *" slot "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(slot) "adrp x16, " slot "\n ldr x16, [x16, :lo12:" slot "]\n br x16\n"
#else
#error "degas uses CUDA on amd64 and arm64 only"
#endif

#define FUNCTION(name)                                                                       \
	__asm__(".text\n.balign 16\n.globl " QUOTE(name) "\n.type " QUOTE(name) ", %function\n" \
		QUOTE(name) ":\n" JUMP(QUOTE(SLOT(name))) ".size " QUOTE(name) ", . - " QUOTE(name) "\n");
#include "driver_functions.h"
#undef FUNCTION

CUresult CUDAAPI cuInit(unsigned int flags) {
	(void)flags;
	return CUDA_SUCCESS;
}

// degas_cuda_start loads the driver and initialises it. A problem is set when there is none.
CUresult degas_cuda_start(const char **problem) {
	void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		*problem = dlerror();
		return CUDA_ERROR_NOT_INITIALIZED;
	}
#define FUNCTION(name)                                     \
	{                                                      \
		void *found = dlsym(library, QUOTE(name));          \
		SLOT(name) = found ? found : (void *)not_started;  \
	}
#include "driver_functions.h"
#undef FUNCTION
	CUresult (*init)(unsigned int) = (CUresult (*)(unsigned int))dlsym(library, "cuInit");
	if (init == NULL) {
		*problem = "libcuda.so.1 has no cuInit";
		return CUDA_ERROR_NOT_INITIALIZED;
	}
	return init(0);
}
