//go:build emulate

// Runs the kernels of ../kernels on the CPU. Blocks run one after another. The threads of a block are fibers: each
// has a stack of its own and runs until it comes to a barrier or to an exchange with the other lanes of its warp.

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include "shim.h"

#include "../kernels/all.cu"
#include "selftest.cu"

// Fibers: switch_stack saves the running thread's place and goes on at another.

#if defined(__x86_64__) && !defined(DEGAS_UCONTEXT)

extern "C" void degas_switch_stack(void **save, void *to);
asm(R"(
	.text
	.globl degas_switch_stack
	.type degas_switch_stack, @function
degas_switch_stack:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.size degas_switch_stack, . - degas_switch_stack
)");

struct Fiber {
	void *place = nullptr;
	// Makes the fiber begin entry on the stack when it is switched to.
	void prepare(unsigned char *stack, size_t bytes, void (*entry)()) {
		void **top = reinterpret_cast<void **>(stack + bytes); // a multiple of 16
		*--top = nullptr;
		*--top = reinterpret_cast<void *>(entry);
		for (int i = 0; i < 6; i++) { // the registers that switch_stack takes from it
			*--top = nullptr;
		}
		place = top;
	}
	void go(Fiber &to) { degas_switch_stack(&place, to.place); }
};

#else

#include <ucontext.h>

struct Fiber {
	ucontext_t place;
	void prepare(unsigned char *stack, size_t bytes, void (*entry)()) {
		getcontext(&place);
		place.uc_stack.ss_sp = stack;
		place.uc_stack.ss_size = bytes;
		place.uc_link = nullptr;
		makecontext(&place, entry, 0);
	}
	void go(Fiber &to) { swapcontext(&place, &to.place); }
};

#endif

namespace emulated {

constexpr int most_threads = 1024, lanes_of_warp = 32;
constexpr size_t stack_bytes = 128 << 10, most_shared = 227 << 10, guard_bytes = 1024;
constexpr unsigned char poison = 0xff, guard = 0xa5; // floats of poison are NaN
constexpr uint64_t canary = 0x5afe57ac5afe57ac;      // at the end of each stack

enum class State { fresh, runnable, at_barrier, at_meeting, finished };

struct Thread {
	Fiber fiber;
	unsigned char *stack;
	uint3 index;
	State state;
	const char *place; // the file of the barrier or the kind of the meeting it waits at
	int line;          // of the barrier
	unsigned mask;     // of the meeting
	void *brought;     // to the meeting
};

// A kernel with its arguments.
using Body = void (*)();
using Invoke = void (*)(Body, const uint64_t *);

struct Machine {
	std::mutex one_kernel; // shared variables are static: one kernel at a time
	Fiber scheduler;
	Thread threads[most_threads];
	int count, unfinished; // threads of the block
	Thread *running;
	std::vector<unsigned char *> stacks, free_stacks;
	alignas(128) unsigned char dynamic[most_shared + guard_bytes];
	Body body;
	Invoke invoke;
	const uint64_t *arguments;
	std::string failure;
};

static Machine machine;

// Notes what went wrong first.
static void report(const char *format, va_list arguments) {
	char text[512];
	vsnprintf(text, sizeof text, format, arguments);
	if (machine.failure.empty()) {
		char where[160] = "";
		if (machine.running != nullptr) {
			const uint3 t = machine.running->index;
			snprintf(where, sizeof where, "block (%u,%u,%u), thread (%u,%u,%u): ", blockIdx.x, blockIdx.y, blockIdx.z,
				t.x, t.y, t.z);
		}
		machine.failure = std::string(where) + text;
	}
}

static void report(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	report(format, arguments);
	va_end(arguments);
}

static void suspend() {
	machine.running->fiber.go(machine.scheduler);
	asm volatile("" ::: "memory"); // other threads ran
}

void fail(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	report(format, arguments);
	va_end(arguments);
	for (;;) {
		suspend(); // the scheduler leaves the block
	}
}

int lane() { return static_cast<int>(machine.running - machine.threads) % lanes_of_warp; }

void *dynamic_shared() { return machine.dynamic; }

void barrier(const char *file, int line) {
	Thread &mine = *machine.running;
	mine.state = State::at_barrier;
	mine.place = file;
	mine.line = line;
	suspend();
}

// Whether all lanes of the running thread's mask wait where it does.
static bool all_met(const Thread &mine, Thread *warp, int lanes) {
	for (int i = 0; i < lanes; i++) {
		const Thread &other = warp[i];
		if (!(mine.mask >> i & 1)) {
			continue;
		}
		if (other.state == State::finished) {
			fail("%s with mask %#x: lane %d has left the kernel", mine.place, mine.mask, i);
		}
		if (other.state != State::at_meeting || other.mask != mine.mask || strcmp(other.place, mine.place) != 0) {
			return false;
		}
	}
	return true;
}

void meet(const char *kind, unsigned mask, void *brought, Whole whole, void (*typed)()) {
	Thread &mine = *machine.running;
	const int number = static_cast<int>(machine.running - machine.threads), first = number - lane();
	const int lanes = std::min(machine.count - first, lanes_of_warp);
	Thread *warp = machine.threads + first;
	if (!(mask >> lane() & 1)) {
		fail("%s with mask %#x, which does not hold the calling lane %d", kind, mask, lane());
	}
	if (lanes < lanes_of_warp && strncmp(kind, "mma", 3) == 0) {
		fail("%s takes a whole warp, this one has %d threads", kind, lanes);
	}
	mine.state = State::at_meeting;
	mine.place = kind;
	mine.mask = mask;
	mine.brought = brought;
	if (!all_met(mine, warp, lanes)) {
		suspend();
		return;
	}
	void *all[lanes_of_warp] = {};
	for (int i = 0; i < lanes; i++) {
		if (mask >> i & 1) {
			all[i] = warp[i].brought;
			warp[i].state = State::runnable;
		}
	}
	whole(typed, all);
}

static unsigned char *take_stack() {
	if (machine.free_stacks.empty()) {
		void *stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stack == MAP_FAILED) {
			abort();
		}
		memcpy(stack, &canary, sizeof canary);
		machine.stacks.push_back(static_cast<unsigned char *>(stack));
		return machine.stacks.back();
	}
	unsigned char *stack = machine.free_stacks.back();
	machine.free_stacks.pop_back();
	return stack;
}

// What a fiber does: the kernel, for one thread. Its stack is free as soon as it stops, for the next thread.
static void run_thread() {
	machine.invoke(machine.body, machine.arguments);
	Thread &mine = *machine.running;
	mine.state = State::finished;
	machine.unfinished--;
	if (memcmp(mine.stack, &canary, sizeof canary) != 0) {
		report("the emulator's stack of %zu bytes for a thread overflowed", stack_bytes);
	}
	machine.free_stacks.push_back(mine.stack);
	suspend();
}

static void resume(Thread &thread) {
	if (thread.state == State::fresh) {
		thread.stack = take_stack();
		thread.fiber.prepare(thread.stack, stack_bytes, run_thread);
		thread.state = State::runnable;
	}
	threadIdx = thread.index;
	machine.running = &thread;
	machine.scheduler.go(thread.fiber);
	machine.running = nullptr;
}

// Runs the threads first..end-1, a warp, until each waits for something outside the warp.
static void run_warp(int first, int end, bool backwards) {
	for (bool ran = true; ran;) {
		ran = false;
		for (int i = 0; i < end - first; i++) {
			Thread &thread = machine.threads[backwards ? end - 1 - i : first + i];
			if (thread.state == State::fresh || thread.state == State::runnable) {
				ran = true;
				resume(thread);
				if (!machine.failure.empty()) {
					return;
				}
			}
		}
	}
}

// Runs every warp once; the order turns round each time, so that a missing barrier shows whichever way it errs.
static void run_warps(bool backwards) {
	const int warps = (machine.count + lanes_of_warp - 1) / lanes_of_warp;
	for (int i = 0; i < warps && machine.failure.empty(); i++) {
		const int first = (backwards ? warps - 1 - i : i) * lanes_of_warp;
		run_warp(first, std::min(first + lanes_of_warp, machine.count), backwards);
	}
}

// Lets the threads pass the barrier at which all of them must be.
static void pass_barrier() {
	const Thread &first = machine.threads[0];
	for (int i = 0; i < machine.count; i++) {
		Thread &thread = machine.threads[i];
		machine.running = &thread; // for the report
		if (thread.state == State::at_meeting) {
			report("waits at %s with mask %#x for lanes that do not come", thread.place, thread.mask);
		} else if (thread.state == State::finished) {
			report("left the kernel without the barrier at which %d of %d threads wait", machine.unfinished, machine.count);
		} else if (first.state == State::at_barrier &&
			(thread.line != first.line || strcmp(thread.place, first.place) != 0)) {
			report("waits at the barrier %s:%d, the first thread of the block at %s:%d", thread.place, thread.line,
				first.place, first.line);
		}
	}
	machine.running = nullptr;
	for (int i = 0; i < machine.count; i++) {
		machine.threads[i].state = State::runnable;
	}
}

// The bounds of the section of the __shared__ variables; null when there are none.
extern "C" unsigned char __start_emulated_shared[] __attribute__((weak, visibility("hidden")));
extern "C" unsigned char __stop_emulated_shared[] __attribute__((weak, visibility("hidden")));

static void run_block(size_t shared, bool backwards) {
	memset(__start_emulated_shared, poison, static_cast<size_t>(__stop_emulated_shared - __start_emulated_shared));
	memset(machine.dynamic, poison, shared);
	memset(machine.dynamic + shared, guard, guard_bytes);
	for (int i = 0; i < machine.count; i++) {
		machine.threads[i].state = State::fresh;
	}
	machine.unfinished = machine.count;
	while (machine.unfinished > 0 && machine.failure.empty()) {
		run_warps(backwards);
		backwards = !backwards;
		if (machine.unfinished > 0 && machine.failure.empty()) {
			pass_barrier();
		}
	}
	for (size_t i = 0; i < guard_bytes; i++) {
		if (machine.dynamic[shared + i] != guard) {
			report("block (%u,%u,%u) wrote to byte %zu of its %zu bytes of dynamic shared memory", blockIdx.x, blockIdx.y,
				blockIdx.z, shared + i, shared);
			return;
		}
	}
}

static void run_grid(dim3 grid, dim3 block, size_t shared) {
	gridDim = grid;
	blockDim = block;
	machine.count = static_cast<int>(block.x * block.y * block.z);
	machine.failure.clear();
	machine.free_stacks = machine.stacks;
	int thread = 0;
	for (unsigned z = 0; z < block.z; z++) {
		for (unsigned y = 0; y < block.y; y++) {
			for (unsigned x = 0; x < block.x; x++) {
				machine.threads[thread++].index = {x, y, z};
			}
		}
	}
	bool backwards = false;
	for (unsigned z = 0; z < grid.z; z++) {
		for (unsigned y = 0; y < grid.y; y++) {
			for (unsigned x = 0; x < grid.x; x++) {
				blockIdx = {x, y, z};
				run_block(shared, backwards);
				if (!machine.failure.empty()) {
					return;
				}
				backwards = !backwards;
			}
		}
	}
}

// The table of kernels.

struct Entry {
	const char *name;
	Body body;
	Invoke invoke;
	int parameters;
};

template <class P> P unbox(uint64_t boxed) {
	static_assert(sizeof(P) <= sizeof boxed, "a kernel's parameters have at most 64 bits");
	P value;
	memcpy(&value, &boxed, sizeof value);
	return value;
}

template <class... P, size_t... I>
void call(void (*kernel)(P...), const uint64_t *arguments, std::index_sequence<I...>) {
	kernel(unbox<P>(arguments[I])...);
}

template <class... P> Entry entry(const char *name, void (*kernel)(P...)) {
	const Invoke invoke = [](Body body, const uint64_t *arguments) {
		call(reinterpret_cast<void (*)(P...)>(body), arguments, std::index_sequence_for<P...>());
	};
	return {name, reinterpret_cast<Body>(kernel), invoke, sizeof...(P)};
}

static const std::vector<Entry> entries = {
#define KERNEL(name) entry(#name, name),
#include "../kernels/list.h"
	SELFTEST_KERNELS
#undef KERNEL
};

static const Entry *find(const char *name) {
	for (const Entry &e : entries) {
		if (strcmp(e.name, name) == 0) {
			return &e;
		}
	}
	return nullptr;
}

} // namespace emulated

// What -fsanitize=alignment,bounds calls instead of its library's: both begin with where in the source it was.

struct SourcePlace {
	const char *file;
	uint32_t line, column;
};

extern "C" void __ubsan_handle_out_of_bounds(SourcePlace *at, uintptr_t index) {
	emulated::fail("%s:%u: index %lld is outside the array", at->file, at->line, static_cast<long long>(index));
}

extern "C" void __ubsan_handle_type_mismatch_v1(SourcePlace *at, uintptr_t address) {
	emulated::fail("%s:%u: address %#llx is not aligned to its type", at->file, at->line,
		static_cast<unsigned long long>(address));
}

// Runs a kernel to its end. Returns null, or what went wrong, to be freed by the caller.
extern "C" char *degas_emulate(const char *name, const unsigned *grid, const unsigned *block, size_t shared,
	const uint64_t *arguments, int count) {
	using namespace emulated;
	const Entry *entry = find(name);
	if (entry == nullptr) {
		return strdup("there is no such kernel");
	}
	if (count != entry->parameters) {
		char text[96];
		snprintf(text, sizeof text, "it takes %d arguments, %d were given", entry->parameters, count);
		return strdup(text);
	}
	const std::lock_guard<std::mutex> alone(machine.one_kernel);
	machine.body = entry->body;
	machine.invoke = entry->invoke;
	machine.arguments = arguments;
	run_grid({grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared);
	return machine.failure.empty() ? nullptr : strdup(machine.failure.c_str());
}
