//go:build gpu && !emulate

package device

// #cgo LDFLAGS: -ldl
// #include <cuda.h>
// CUresult degas_cuda_start(const char **problem);
import "C"

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"sync"
	"unsafe"

	"github.com/degas-dns/degas/trainer/cuda/kernels"
	"gorgonia.org/cu"
)

const (
	leastDriver  = 11080 // the CUDA version whose PTX kernels.PTX is
	leastCompute = 80    // mma of bf16 and tf32
)

// start loads the driver, once. Until then, gorgonia.org/cu talks to forward.c alone.
var start = sync.OnceValue(func() error {
	var problem *C.char
	code := C.degas_cuda_start(&problem)
	switch {
	case problem != nil:
		return fmt.Errorf("%w: there is no NVIDIA driver: %s", ErrNone, C.GoString(problem))
	case code == C.CUDA_ERROR_NO_DEVICE:
		return fmt.Errorf("%w: the NVIDIA driver sees none (CUDA_VISIBLE_DEVICES=%q)", ErrNone,
			os.Getenv("CUDA_VISIBLE_DEVICES"))
	case code != C.CUDA_SUCCESS:
		return fmt.Errorf("%w: the NVIDIA driver does not start: CUDA error %d", ErrNone, code)
	}
	return nil
})

// List describes the machine's devices. An error says why there are none that this binary can see.
func List() ([]Info, error) {
	count, err := devices()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, count)
	for i := range infos {
		if d, err := open(i); err != nil {
			infos[i] = describe(i)
			infos[i].Problem = err.Error()
		} else {
			infos[i] = d.Info()
			if err := d.Close(); err != nil {
				return nil, err
			}
		}
	}
	return infos, nil
}

// devices returns how many devices there are, at least 1.
func devices() (int, error) {
	if err := start(); err != nil {
		return 0, err
	}
	count, err := cu.NumDevices()
	if err != nil {
		return 0, fmt.Errorf("%w: count devices: %w", ErrNone, err)
	}
	if count == 0 {
		return 0, fmt.Errorf("%w: the NVIDIA driver sees none", ErrNone)
	}
	return count, nil
}

// describe reads what the driver says of a device without using it; what it does not say stays zero.
func describe(index int) Info {
	at := cu.Device(index)
	info := Info{Index: index, Driver: version(cu.Version())}
	info.Name, _ = at.Name()
	info.Memory, _ = at.TotalMem()
	info.Multiprocessors, _ = at.Attribute(cu.MultiprocessorCount)
	if major, minor, err := at.ComputeCapability(); err == nil {
		info.Compute = fmt.Sprintf("%d.%d", major, minor)
	}
	return info
}

// version prints the driver's numbers: 11080 is 11.8.
func version(number int) string { return fmt.Sprintf("%d.%d", number/1000, number%1000/10) }

// Open makes a device ready for use.
func Open(index int) (Device, error) {
	count, err := devices()
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= count {
		return nil, fmt.Errorf("%w: there is no device %d, they are 0 to %d", ErrNone, index, count-1)
	}
	d, err := open(index)
	if err != nil {
		return nil, fmt.Errorf("%w: device %d (%s): %w", ErrNone, index, describe(index).Name, err)
	}
	return d, nil
}

// driver is a device with a context of its own. A context belongs to the thread that made it current, and goroutines
// move between threads: every call makes it current anew.
type driver struct {
	mu      sync.Mutex
	info    Info
	shared  int // bytes a block may have
	context cu.CUContext
	stream  cu.Stream
	module  cu.Module
	staging *staging
	kernels map[string]*kernel
	last    string // the kernel queued last
}

type kernel struct {
	function cu.Function
	shared   int // bytes of dynamic shared memory it has been allowed
}

func open(index int) (*driver, error) {
	at := cu.Device(index)
	d := &driver{info: describe(index), kernels: map[string]*kernel{}}
	if v := cu.Version(); v < leastDriver {
		return nil, fmt.Errorf("its driver knows CUDA %s, the kernels need %s (driver 520 or newer)", version(v),
			version(leastDriver))
	}
	major, minor, err := at.ComputeCapability()
	if err != nil {
		return nil, fmt.Errorf("read its compute capability: %w", err)
	}
	if major*10+minor < leastCompute {
		return nil, fmt.Errorf("its compute capability is %d.%d, the kernels need %d.0 (Ampere or newer)", major, minor,
			leastCompute/10)
	}
	if d.shared, err = at.Attribute(C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN); err != nil {
		return nil, fmt.Errorf("read its shared memory: %w", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if d.context, err = at.MakeContext(cu.SchedAuto); err != nil {
		return nil, fmt.Errorf("make a context: %w", memory(err))
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, d.context.Destroy())
	}
	return d, nil
}

// load fills the context, which is current.
func (d *driver) load() (err error) {
	if d.module, err = cu.LoadData(kernels.PTX); err != nil {
		return loadError(err)
	}
	if d.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return fmt.Errorf("make a stream: %w", err)
	}
	if d.staging, err = newStaging(d.stream); err != nil {
		return err
	}
	if d.info.Free, _, err = cu.MemInfo(); err != nil {
		return fmt.Errorf("read its free memory: %w", err)
	}
	return nil
}

func loadError(err error) error {
	switch code(err) {
	case C.CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
		return fmt.Errorf("load kernels: the driver (CUDA %s) is too old for them, they need CUDA %s (driver 520 or newer)",
			version(cu.Version()), version(leastDriver))
	case C.CUDA_ERROR_INVALID_PTX:
		return fmt.Errorf("load kernels: the driver (CUDA %s) takes them for no PTX: %w", version(cu.Version()), err)
	case C.CUDA_ERROR_JIT_COMPILER_NOT_FOUND:
		return fmt.Errorf("load kernels: the driver's compiler (libnvidia-ptxjitcompiler) is not installed: %w", err)
	}
	return fmt.Errorf("load kernels: %w", memory(err))
}

// code is the number of a driver's error; cu does not export the type.
func code(err error) int64 {
	if v := reflect.ValueOf(err); v.IsValid() && v.CanInt() {
		return v.Int()
	}
	return 0
}

func memory(err error) error {
	if code(err) == C.CUDA_ERROR_OUT_OF_MEMORY {
		return ErrMemory
	}
	return err
}

// do calls f with the device's context current, and says what it was doing when it fails.
func (d *driver) do(what string, f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cu.SetCurrentContext(d.context)
	if err == nil {
		err = f()
	}
	switch code(err) {
	case 0:
		if err != nil {
			return fmt.Errorf("device: %s: %w", what, err)
		}
		return nil
	case C.CUDA_ERROR_ECC_UNCORRECTABLE, C.CUDA_ERROR_ILLEGAL_ADDRESS, C.CUDA_ERROR_LAUNCH_TIMEOUT, C.CUDA_ERROR_ASSERT,
		C.CUDA_ERROR_HARDWARE_STACK_ERROR, C.CUDA_ERROR_ILLEGAL_INSTRUCTION, C.CUDA_ERROR_MISALIGNED_ADDRESS,
		C.CUDA_ERROR_INVALID_ADDRESS_SPACE, C.CUDA_ERROR_INVALID_PC, C.CUDA_ERROR_LAUNCH_FAILED,
		C.CUDA_ERROR_CONTEXT_IS_DESTROYED, C.CUDA_ERROR_DEINITIALIZED, C.CUDA_ERROR_UNKNOWN:
		after := ""
		if d.last != "" { // the driver does not tell which of those queued it was
			after = fmt.Sprintf("; the kernel queued last was %s, CUDA_LAUNCH_BLOCKING=1 shows which one failed", d.last)
		}
		return fmt.Errorf("%s: %w: %w%s", what, ErrLost, err, after)
	}
	return fmt.Errorf("device: %s: %w", what, memory(err))
}

func (d *driver) Info() Info {
	info := d.info
	d.do("read the free memory", func() (err error) {
		info.Free, _, err = cu.MemInfo()
		return err
	})
	return info
}

func (d *driver) SharedMemory() int { return d.shared }

func (d *driver) Alloc(bytes int) (a Address, err error) {
	err = d.do(fmt.Sprintf("allocate %d bytes", bytes), func() error {
		at, err := cu.MemAlloc(int64(max(bytes, 1))) // 0 would be refused
		if a = Address(at); code(err) == C.CUDA_ERROR_OUT_OF_MEMORY {
			free, total, _ := cu.MemInfo()
			return fmt.Errorf("%d of %d are free: %w", free, total, ErrMemory)
		}
		return err
	})
	return a, err
}

func (d *driver) Free(a Address) error {
	if a == 0 {
		return nil
	}
	return d.do(fmt.Sprintf("free %#x", a), func() error { return cu.MemFree(cu.DevicePtr(a)) })
}

func (d *driver) Clear(a Address, bytes int) error {
	if bytes == 0 {
		return nil
	}
	return d.do("clear memory", func() error { return cu.MemsetD8Async(cu.DevicePtr(a), 0, int64(bytes), d.stream) })
}

func (d *driver) Upload(to Address, data []byte) error {
	return d.do("upload", func() error { return d.staging.upload(to, data, d.stream) })
}

func (d *driver) Ahead(to Address, data []byte) error {
	return d.do("upload ahead", func() error { return d.staging.ahead(to, data) })
}

// Fetch copies at once, as Download does, what is more than a slot of the ring holds.
func (d *driver) Fetch(from Address, bytes int) (func([]byte) error, error) {
	if bytes > stagingBytes {
		fetched := make([]byte, bytes)
		err := d.Download(fetched, from)
		return func(data []byte) error {
			copy(data, fetched)
			return nil
		}, err
	}
	var number uint64
	err := d.do("fetch", func() (err error) {
		number, err = d.staging.fetch(from, bytes)
		return err
	})
	return func(data []byte) error {
		return d.do("collect", func() error { return d.staging.collect(data[:bytes], number) })
	}, err
}

func (d *driver) Download(data []byte, from Address) error {
	return d.do("download", func() error {
		if err := d.stream.Synchronize(); err != nil || len(data) == 0 {
			return err
		}
		return cu.MemcpyDtoH(unsafe.Pointer(&data[0]), cu.DevicePtr(from), int64(len(data)))
	})
}

func (d *driver) Launch(name string, grid, block Dim, shared int, args ...uint64) error {
	return d.do("launch kernel "+name, func() error {
		k, err := d.kernel(name, shared)
		if err != nil {
			return err
		}
		boxed := make([]unsafe.Pointer, len(args))
		for i := range args {
			boxed[i] = unsafe.Pointer(&args[i])
		}
		d.last = name
		g, b := grid.orOne(), block.orOne()
		return k.function.Launch(g.X, g.Y, g.Z, b.X, b.Y, b.Z, shared, d.stream, boxed)
	})
}

// kernel finds a kernel and lets it have that much dynamic shared memory.
func (d *driver) kernel(name string, shared int) (*kernel, error) {
	k := d.kernels[name]
	if k == nil {
		function, err := d.module.Function(name)
		if code(err) == C.CUDA_ERROR_NOT_FOUND {
			return nil, errors.New("there is no such kernel")
		}
		if err != nil {
			return nil, err
		}
		k = &kernel{function: function}
		d.kernels[name] = k
	}
	if shared > k.shared { // unasked, a block gets 48 KiB less what it has beside
		function := *(*C.CUfunction)(unsafe.Pointer(&k.function)) // all that a cu.Function holds
		code := C.cuFuncSetAttribute(function, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(shared))
		if code != C.CUDA_SUCCESS {
			return nil, fmt.Errorf("give it %d bytes of shared memory, a block may have %d: CUDA error %d",
				shared, d.shared, code)
		}
		k.shared = shared
	}
	return k, nil
}

func (d *driver) Sync() error {
	return d.do("wait for the queue", func() error { return d.stream.Synchronize() })
}

func (d *driver) Close() error {
	return d.do("close", func() error {
		d.staging.close()
		return d.context.Destroy() // with its memory, module, stream and events
	})
}
