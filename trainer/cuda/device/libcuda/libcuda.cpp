// A libcuda.so.1 without a GPU: the driver's functions that degas calls, with ../emulate.cpp behind them. A program
// built with -tags gpu loads it in the driver's place (scripts/gpu-build --emulated), so that everything of degas that
// has to do with a driver runs on any machine: arguments and their sizes, contexts and threads, queues, pinned memory,
// errors.
//
// Where CUDA leaves open what happens, this driver does what finds most mistakes. What is queued runs as late as it
// may: when somebody waits for it. Fresh memory holds NaN, and every allocation has fences that nobody may write. A
// kernel takes its parameters, its largest block and its static shared memory from the PTX that was loaded. What a
// kernel did wrong is written to stderr, and the context is lost from then on.
//
// Copies of other streams than a context's first run as late as what waits for them, or with DEGAS_EMULATED_EAGER=1 as
// soon as they may, which finds the ones that should have waited.
//
// The environment says what the machine is: DEGAS_EMULATED_DEVICES (1), DEGAS_EMULATED_DRIVER (the CUDA version its
// driver knows: 13000), DEGAS_EMULATED_COMPUTE (90), DEGAS_EMULATED_MEMORY (bytes of a device: 4 GiB) and
// DEGAS_EMULATED_LOST (the launch of a context that fails, counted from 1: none). With DEGAS_EMULATED_DRY=1 launches
// are held against what a device can do and not run, so that networks and batches of any size can be tried.

#include "../emulate.cpp"

#include <cuda.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#define API extern "C" __attribute__((visibility("default"))) CUresult CUDAAPI

namespace {

constexpr size_t shared_of_block = 227 << 10,
				 shared_unasked = 48 << 10;	 // bytes; more than the second only when asked for
constexpr size_t fence = 256;                                            // bytes before and after each allocation
constexpr int threads_of_block = 1024;

long setting(const char *name, long otherwise) {
	const char *text = getenv(name);
	return text != nullptr && *text != 0 ? atol(text) : otherwise;
}

bool dry() { return setting("DEGAS_EMULATED_DRY", 0) != 0; }

void complain(const std::string &what) { fprintf(stderr, "emulated CUDA: %s\n", what.c_str()); }

// One allocation of a device, between two fences.
struct Memory {
	std::unique_ptr<unsigned char[]> room;
	unsigned char *start; // aligned to 256 bytes
	size_t bytes;
	Memory(size_t n) : room(new unsigned char[n + 3 * fence]), bytes(n) {
		start = reinterpret_cast<unsigned char *>((reinterpret_cast<uintptr_t>(room.get()) + 2 * fence - 1) / fence * fence);
		if (dry()) {
			return; // memory that nobody touches takes none of the machine's
		}
		memset(start - fence, emulated::guard, n + 2 * fence);
		memset(start, emulated::poison, n);
	}
	bool whole() const {
		for (size_t i = 0; i < fence; i++) {
			if (start[-1 - static_cast<long>(i)] != emulated::guard || start[bytes + i] != emulated::guard) {
				return false;
			}
		}
		return true;
	}
};

} // namespace

// What the PTX says of a kernel, and what the program asked for.
struct CUfunc_st {
	CUctx_st *context;
	std::string name;
	std::vector<size_t> parameters; // their bytes
	size_t shared = 0;              // static, bytes
	int most_threads = threads_of_block;
	size_t dynamic = 0; // bytes of dynamic shared memory it may have
};

struct CUmod_st {
	std::map<std::string, CUfunc_st> functions;
};

struct CUevent_st {
	CUstream stream = nullptr;
	uint64_t after = 0; // what had been queued when it was recorded
};

struct CUstream_st {
	CUctx_st *context;
	std::deque<std::function<CUresult()>> queue;
	uint64_t done = 0;
	void run(uint64_t until);
};

struct CUctx_st {
	std::map<CUdeviceptr, Memory> memory;
	std::vector<std::unique_ptr<CUmod_st>> modules;
	std::vector<std::unique_ptr<CUstream_st>> streams;
	std::vector<std::unique_ptr<CUevent_st>> events;
	size_t used = 0; // bytes
	long launched = 0;
	CUresult lost = CUDA_SUCCESS; // what every call returns once something went wrong

	void run() {
		for (auto &stream : streams) {
			stream->run(UINT64_MAX);
		}
	}

	// The memory that a range of addresses lies in; null where it does not lie in one allocation.
	unsigned char *at(CUdeviceptr a, size_t bytes) {
		auto next = memory.upper_bound(a);
		if (next == memory.begin()) {
			return nullptr;
		}
		const Memory &m = std::prev(next)->second;
		const size_t from = a - std::prev(next)->first;
		return from <= m.bytes && bytes <= m.bytes - from ? m.start + from : nullptr;
	}

	bool fences(const std::string &what) {
		if (dry()) {
			return true;
		}
		for (const auto &[address, m] : memory) {
			if (!m.whole()) {
				complain(what + ": memory beside an allocation of " + std::to_string(m.bytes) + " bytes was written");
				return false;
			}
		}
		return true;
	}
};

void CUstream_st::run(uint64_t until) {
	for (; !queue.empty() && done < until; done++) {
		if (context->lost == CUDA_SUCCESS) {
			context->lost = queue.front()();
		}
		queue.pop_front();
	}
}

namespace {

std::recursive_mutex calls; // one at a time
bool initialised;
std::set<CUcontext> contexts;
std::map<void *, size_t> pinned; // host memory, and its bytes
thread_local CUcontext current;

// What a call finds wrong before it begins: no context on its thread, or one that was lost.
CUresult trouble() {
	if (!initialised) {
		return CUDA_ERROR_NOT_INITIALIZED;
	}
	if (current == nullptr) {
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	return contexts.count(current) ? current->lost : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

#define IN_CONTEXT                                      \
	std::lock_guard<std::recursive_mutex> alone(calls); \
	if (CUresult code = trouble()) { return code; }

bool owns(CUstream stream) {
	for (const auto &s : current->streams) {
		if (s.get() == stream) {
			return true;
		}
	}
	return false; // the default stream among others: degas does not use it
}

CUresult enqueue(CUstream stream, std::function<CUresult()> work) {
	if (!owns(stream)) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	stream->queue.push_back(std::move(work));
	if (stream != current->streams.front().get() && setting("DEGAS_EMULATED_EAGER", 0) != 0) {
		stream->run(UINT64_MAX);
	}
	return CUDA_SUCCESS;
}

size_t bytes_of(const std::string &type) {
	return type.empty() || type.back() < '0' || type.back() > '9'
		? 0
		: static_cast<size_t>(atoi(type.c_str() + type.find_first_of("0123456789"))) / 8;
}

// Reads what the driver has to know of every kernel of a PTX module.
bool parse(const char *ptx, CUmod_st &module, CUcontext context) {
	std::istringstream text(ptx);
	CUfunc_st *f = nullptr;
	bool body = false; // where .param is what a function that is called takes
	for (std::string line; std::getline(text, line);) {
		std::istringstream words(line);
		std::string first, second, third;
		words >> first >> second >> third;
		if (first == ".visible" && second == ".entry") {
			const std::string name = third.substr(0, third.find('('));
			f = &module.functions[name];
			f->context = context;
			f->name = name;
			body = false;
		} else if (f == nullptr) {
			continue;
		} else if (line == "{") {
			body = true;
		} else if (first == ".param" && !body) {
			f->parameters.push_back(bytes_of(second));
		} else if (first == ".maxntid") {
			f->most_threads = 1;
			for (char *c = &line[line.find_first_of("0123456789")]; *c != 0; c += *c == ',') {
				f->most_threads *= static_cast<int>(strtol(c, &c, 10));
			}
		} else if (first == ".shared") { // .shared .align 4 .b8 name[bytes];
			f->shared += static_cast<size_t>(atol(line.c_str() + line.find('[') + 1));
		} else if (line == "}") {
			f->dynamic = shared_unasked - std::min(f->shared, shared_unasked);
			f = nullptr;
		}
	}
	return strstr(ptx, ".version") != nullptr && !module.functions.empty();
}

CUresult run_kernel(CUfunction f, dim3 grid, dim3 block, size_t shared, const std::vector<uint64_t> &arguments) {
	const unsigned blocks[] = {grid.x, grid.y, grid.z}, threads[] = {block.x, block.y, block.z};
	const int count = static_cast<int>(f->parameters.size());
	const std::unique_ptr<char, void (*)(void *)> failure(
		degas_emulate(f->name.c_str(), blocks, threads, shared, arguments.data(), count), free);
	if (failure != nullptr) {
		complain("kernel " + f->name + ": " + failure.get());
		return CUDA_ERROR_LAUNCH_FAILED;
	}
	return f->context->fences("kernel " + f->name) ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS;
}

} // namespace

API cuInit(unsigned flags) {
	std::lock_guard<std::recursive_mutex> alone(calls);
	if (flags != 0) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (setting("DEGAS_EMULATED_DEVICES", 1) == 0) {
		return CUDA_ERROR_NO_DEVICE;
	}
	initialised = true;
	return CUDA_SUCCESS;
}

API cuDriverGetVersion(int *version) {
	*version = static_cast<int>(setting("DEGAS_EMULATED_DRIVER", 13000));
	return CUDA_SUCCESS;
}

API cuDeviceGetCount(int *count) {
	*count = static_cast<int>(setting("DEGAS_EMULATED_DEVICES", 1));
	return initialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

static CUresult there(CUdevice device) {
	if (!initialised) {
		return CUDA_ERROR_NOT_INITIALIZED;
	}
	return device >= 0 && device < setting("DEGAS_EMULATED_DEVICES", 1) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

API cuDeviceGetName(char *name, int length, CUdevice device) {
	snprintf(name, static_cast<size_t>(length), "CPU emulation %d", device);
	return there(device);
}

API cuDeviceTotalMem(size_t *bytes, CUdevice device) {
	*bytes = static_cast<size_t>(setting("DEGAS_EMULATED_MEMORY", 4l << 30));
	return there(device);
}

API cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
	const int compute = static_cast<int>(setting("DEGAS_EMULATED_COMPUTE", 90));
	switch (attribute) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = compute / 10; break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = compute % 10; break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = shared_of_block; break;
	default: complain("attribute " + std::to_string(attribute) + " is not emulated"); return CUDA_ERROR_INVALID_VALUE;
	}
	return there(device);
}

API cuCtxCreate(CUcontext *context, unsigned, CUdevice device) {
	std::lock_guard<std::recursive_mutex> alone(calls);
	if (CUresult code = there(device)) {
		return code;
	}
	if (setting("DEGAS_EMULATED_MEMORY", 1) == 0) { // a context takes some itself
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*context = current = new CUctx_st;
	contexts.insert(current);
	return CUDA_SUCCESS;
}

API cuCtxDestroy(CUcontext context) {
	std::lock_guard<std::recursive_mutex> alone(calls);
	if (!contexts.count(context)) {
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	context->run();
	context->fences("a context that is destroyed");
	const CUresult code = context->lost;
	contexts.erase(context);
	delete context;
	if (current == context) {
		current = nullptr;
	}
	return code;
}

API cuCtxSetCurrent(CUcontext context) {
	std::lock_guard<std::recursive_mutex> alone(calls);
	if (!initialised) {
		return CUDA_ERROR_NOT_INITIALIZED;
	}
	if (context != nullptr && !contexts.count(context)) {
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	}
	current = context;
	return CUDA_SUCCESS;
}

API cuModuleLoadData(CUmodule *module, const void *image) {
	IN_CONTEXT
	auto m = std::make_unique<CUmod_st>();
	if (!parse(static_cast<const char *>(image), *m, current)) {
		return CUDA_ERROR_INVALID_PTX;
	}
	*module = m.get();
	current->modules.push_back(std::move(m));
	return CUDA_SUCCESS;
}

API cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
	IN_CONTEXT
	const auto found = module->functions.find(name);
	if (found == module->functions.end()) {
		return CUDA_ERROR_NOT_FOUND;
	}
	*function = &found->second;
	return CUDA_SUCCESS;
}

API cuFuncSetAttribute(CUfunction f, CUfunction_attribute attribute, int value) {
	IN_CONTEXT
	if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 ||
		static_cast<size_t>(value) + f->shared > shared_of_block) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	f->dynamic = static_cast<size_t>(value);
	return CUDA_SUCCESS;
}

API cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
	unsigned shared, CUstream stream, void **parameters, void **extra) {
	IN_CONTEXT
	const dim3 grid = {gx, gy, gz}, block = {bx, by, bz};
	if (f->context != current || extra != nullptr || gx < 1 || gy < 1 || gz < 1 || gx > INT32_MAX || gy > 65535 ||
		gz > 65535 || bx < 1 || by < 1 || bz < 1 || bz > 64 ||
		uint64_t{bx} * by * bz > static_cast<uint64_t>(f->most_threads) || shared > f->dynamic) {
		complain("kernel " + f->name + " cannot have " + std::to_string(gx) + "x" + std::to_string(gy) + "x" +
			std::to_string(gz) + " blocks of " + std::to_string(bx) + "x" + std::to_string(by) + "x" +
			std::to_string(bz) + " threads with " + std::to_string(shared) + " bytes of shared memory; it may have " +
			std::to_string(f->most_threads) + " threads and " + std::to_string(f->dynamic) + " bytes");
		return CUDA_ERROR_INVALID_VALUE;
	}
	std::vector<uint64_t> arguments(f->parameters.size() + 1); // copied now: what they lie in may go
	for (size_t i = 0; i < f->parameters.size(); i++) {
		memcpy(&arguments[i], parameters[i], f->parameters[i]);
	}
	if (++current->launched == setting("DEGAS_EMULATED_LOST", 0)) {
		return enqueue(stream, [] { return CUDA_ERROR_LAUNCH_FAILED; });
	}
	if (dry()) {
		return CUDA_SUCCESS;
	}
	return enqueue(stream, [=] { return run_kernel(f, grid, block, shared, arguments); });
}

API cuStreamCreate(CUstream *stream, unsigned flags) {
	IN_CONTEXT
	if (flags != CU_STREAM_NON_BLOCKING) { // one that the default stream waits for is not emulated
		return CUDA_ERROR_INVALID_VALUE;
	}
	current->streams.push_back(std::make_unique<CUstream_st>());
	*stream = current->streams.back().get();
	(*stream)->context = current;
	return CUDA_SUCCESS;
}

API cuStreamSynchronize(CUstream stream) {
	IN_CONTEXT
	if (!owns(stream)) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	stream->run(UINT64_MAX);
	return current->lost;
}

API cuEventCreate(CUevent *event, unsigned) {
	IN_CONTEXT
	current->events.push_back(std::make_unique<CUevent_st>());
	*event = current->events.back().get();
	return CUDA_SUCCESS;
}

API cuEventRecord(CUevent event, CUstream stream) {
	IN_CONTEXT
	if (!owns(stream)) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	event->stream = stream;
	event->after = stream->done + stream->queue.size();
	return CUDA_SUCCESS;
}

API cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
	IN_CONTEXT
	if (flags != 0) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	CUstream other = event->stream;
	const uint64_t after = event->after; // that of now: the event may be recorded anew
	return enqueue(stream, [=] {
		if (other != nullptr) {
			other->run(after);
		}
		return CUDA_SUCCESS;
	});
}

API cuEventSynchronize(CUevent event) {
	IN_CONTEXT
	if (event->stream != nullptr) {
		event->stream->run(event->after);
	}
	return current->lost;
}

API cuMemGetInfo(size_t *free_bytes, size_t *total) {
	IN_CONTEXT
	*total = static_cast<size_t>(setting("DEGAS_EMULATED_MEMORY", 4l << 30));
	*free_bytes = *total - std::min(*total, current->used);
	return CUDA_SUCCESS;
}

API cuMemAlloc(CUdeviceptr *address, size_t bytes) {
	IN_CONTEXT
	size_t free_bytes, total;
	cuMemGetInfo(&free_bytes, &total);
	if (bytes == 0) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (bytes > free_bytes) {
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	Memory m(bytes);
	*address = reinterpret_cast<CUdeviceptr>(m.start);
	current->memory.emplace(*address, std::move(m));
	current->used += bytes;
	return CUDA_SUCCESS;
}

API cuMemFree(CUdeviceptr address) {
	IN_CONTEXT
	current->run();
	const auto found = current->memory.find(address);
	if (found == current->memory.end()) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (!dry()) {
		memset(found->second.start, emulated::poison, found->second.bytes); // for those who still read it
	}
	current->used -= found->second.bytes;
	current->memory.erase(found);
	return current->lost;
}

API cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
	IN_CONTEXT
	*memory = malloc(bytes);
	pinned[*memory] = bytes;
	return CUDA_SUCCESS;
}

API cuMemFreeHost(void *memory) {
	IN_CONTEXT
	current->run();
	free(memory);
	return pinned.erase(memory) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
	IN_CONTEXT
	unsigned char *memory = current->at(to, bytes);
	if (memory == nullptr) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	return dry() ? CUDA_SUCCESS : enqueue(stream, [=] {
		memset(memory, value, bytes);
		return CUDA_SUCCESS;
	});
}

static bool is_pinned(const void *memory, size_t bytes) {
	auto next = pinned.upper_bound(const_cast<void *>(memory));
	if (next == pinned.begin()) {
		return false;
	}
	const size_t from =
		static_cast<size_t>(static_cast<const char *>(memory) - static_cast<const char *>(std::prev(next)->first));
	return from + bytes <= std::prev(next)->second;
}

// Pinned memory is read when the copy's turn comes: who changes it before that is found out. Other memory is read at
// once.
API cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
	IN_CONTEXT
	unsigned char *memory = current->at(to, bytes);
	if (memory == nullptr) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (is_pinned(from, bytes)) {
		return enqueue(stream, [=] {
			memcpy(memory, from, bytes);
			return CUDA_SUCCESS;
		});
	}
	const std::string data(static_cast<const char *>(from), bytes);
	return enqueue(stream, [=] {
		memcpy(memory, data.data(), bytes);
		return CUDA_SUCCESS;
	});
}

// To pinned memory only: with other memory it would wait.
API cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
	IN_CONTEXT
	const unsigned char *memory = current->at(from, bytes);
	if (memory == nullptr || !is_pinned(to, bytes)) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	return enqueue(stream, [=] {
		memcpy(to, memory, bytes);
		return CUDA_SUCCESS;
	});
}

// Waits for no stream but the default one, with which those of degas have nothing to do.
API cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
	IN_CONTEXT
	const unsigned char *memory = current->at(from, bytes);
	if (memory == nullptr) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	memcpy(to, memory, bytes);
	return CUDA_SUCCESS;
}
