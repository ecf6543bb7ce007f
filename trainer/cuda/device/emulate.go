//go:build emulate

package device

// #cgo CXXFLAGS: -std=c++17 -O3 -fsanitize=alignment,bounds
// #include <stdint.h>
// #include <stdlib.h>
// char *degas_emulate(const char *name, const unsigned *grid, const unsigned *block, size_t shared,
//     const uint64_t *arguments, int count);
import "C"

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/degas-dns/degas/trainer/cuda/kernels"
)

// The go command does not know that emulate.cpp includes these: embedding them makes it build anew when they change.
var _ = kernels.Sources

//go:embed selftest.cu
var _selftest string

const (
	emulatedMemory = 4 << 30   // bytes
	emulatedShared = 227 << 10 // bytes of a block, as on Hopper
	fence          = 256       // bytes before and after each allocation that nobody may write
	fenceByte      = 0xa5
	unwritten      = 0xff // what memory holds at first: as floats, NaN
)

// List describes the emulation as the only device.
func List() ([]Info, error) {
	return []Info{{Name: "CPU emulation", Memory: emulatedMemory, Free: emulatedMemory, Compute: "8.0", Driver: "11.8",
		Multiprocessors: 1}}, nil
}

// Open returns a new emulated device, whatever the others hold. Index must be 0.
func Open(index int) (Device, error) {
	if index != 0 {
		return nil, fmt.Errorf("%w: open device %d: the emulation has only device 0", ErrNone, index)
	}
	return &emulation{}, nil
}

// block is one allocation, between two fences.
type block struct {
	memory unsafe.Pointer // the first fence
	bytes  int
	number int // counts the device's allocations
}

func (b block) start() Address { return Address(uintptr(b.memory)) + fence }

// all is the memory with its fences.
func (b block) all() []byte { return unsafe.Slice((*byte)(b.memory), b.bytes+2*fence) }

func (b block) String() string { return fmt.Sprintf("allocation %d of %d bytes", b.number, b.bytes) }

// check reports a write to the fences.
func (b block) check() error {
	all := b.all()
	for i, c := range all[:fence] {
		if c != fenceByte {
			return fmt.Errorf("%v was written %d bytes before its start", b, fence-i)
		}
	}
	for i, c := range all[fence+b.bytes:] {
		if c != fenceByte {
			return fmt.Errorf("%v was written %d bytes past its end", b, i+1)
		}
	}
	return nil
}

// emulation runs each launch to its end, so that errors come with the call that made them.
type emulation struct {
	mu     sync.Mutex
	blocks []block // by address
	used   int     // bytes
	made   int     // allocations
}

func (e *emulation) Info() Info {
	infos, _ := List()
	e.mu.Lock()
	defer e.mu.Unlock()
	infos[0].Free -= int64(e.used)
	return infos[0]
}

func (e *emulation) SharedMemory() int { return emulatedShared }

func (e *emulation) Alloc(bytes int) (Address, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if bytes < 0 {
		return 0, fmt.Errorf("device: allocate %d bytes", bytes)
	}
	if bytes > emulatedMemory-e.used {
		return 0, fmt.Errorf("allocate %d bytes, %d are free: %w", bytes, emulatedMemory-e.used, ErrMemory)
	}
	size := (bytes + 2*fence + 255) / 256 * 256
	memory := C.aligned_alloc(256, C.size_t(size))
	if memory == nil {
		return 0, fmt.Errorf("allocate %d bytes of the host's memory: %w", bytes, ErrMemory)
	}
	e.made++
	b := block{memory, bytes, e.made}
	fill(b.all(), fenceByte)
	fill(b.all()[fence:fence+bytes], unwritten)
	at, _ := slices.BinarySearchFunc(e.blocks, b.start(), byStart)
	e.blocks = slices.Insert(e.blocks, at, b)
	e.used += bytes
	return b.start(), nil
}

func byStart(b block, a Address) int { return int(int64(b.start()) - int64(a)) }

func fill(data []byte, with byte) {
	for i := range data {
		data[i] = with
	}
}

func (e *emulation) Free(a Address) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a == 0 {
		return nil
	}
	at, found := slices.BinarySearchFunc(e.blocks, a, byStart)
	if !found {
		return fmt.Errorf("device: free %#x, which was not allocated or was freed before", a)
	}
	b := e.blocks[at]
	e.blocks = slices.Delete(e.blocks, at, at+1)
	e.used -= b.bytes
	err := b.check()
	fill(b.all(), unwritten)
	C.free(b.memory)
	if err != nil {
		return fmt.Errorf("device: free %#x: %w", a, err)
	}
	return nil
}

// access gives use bytes of device memory, which must lie in one allocation.
func (e *emulation) access(what string, a Address, bytes int, use func(memory []byte)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, found := slices.BinarySearchFunc(e.blocks, a, byStart)
	if !found {
		at--
	}
	if at < 0 || at == len(e.blocks) || bytes < 0 {
		return fmt.Errorf("%s: device: %#x was not allocated", what, a)
	}
	b := e.blocks[at]
	from := int(a - b.start())
	if from+bytes > b.bytes {
		return fmt.Errorf("%s: device: %d bytes from byte %d of %v", what, bytes, from, b)
	}
	use(b.all()[fence:][from : from+bytes : from+bytes])
	return nil
}

func (e *emulation) Clear(a Address, bytes int) error {
	return e.access("clear", a, bytes, func(memory []byte) { clear(memory) })
}

func (e *emulation) Upload(to Address, data []byte) error {
	return e.access("upload", to, len(data), func(memory []byte) { copy(memory, data) })
}

func (e *emulation) Ahead(to Address, data []byte) error { return e.Upload(to, data) }

func (e *emulation) Fetch(from Address, bytes int) (func([]byte) error, error) {
	fetched := make([]byte, bytes)
	if err := e.Download(fetched, from); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return func(data []byte) error {
		copy(data, fetched)
		return nil
	}, nil
}

func (e *emulation) Download(data []byte, from Address) error {
	return e.access("download", from, len(data), func(memory []byte) { copy(data, memory) })
}

func (e *emulation) Launch(kernel string, grid, threads Dim, shared int, args ...uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	g, t := grid.orOne(), threads.orOne()
	if err := checkLaunch(g, t, shared); err != nil {
		return fmt.Errorf("device: launch kernel %s: %w", kernel, err)
	}
	name := C.CString(kernel)
	defer C.free(unsafe.Pointer(name))
	blocks := [3]C.uint{C.uint(g.X), C.uint(g.Y), C.uint(g.Z)}
	of := [3]C.uint{C.uint(t.X), C.uint(t.Y), C.uint(t.Z)}
	boxed := append(slices.Clone(args), 0) // at least one, for its address
	failure := C.degas_emulate(name, &blocks[0], &of[0], C.size_t(shared), (*C.uint64_t)(&boxed[0]), C.int(len(args)))
	if failure != nil {
		defer C.free(unsafe.Pointer(failure))
		return fmt.Errorf("device: kernel %s: %s", kernel, C.GoString(failure))
	}
	for _, b := range e.blocks {
		if err := b.check(); err != nil {
			return fmt.Errorf("device: kernel %s: %w", kernel, err)
		}
	}
	return nil
}

func checkLaunch(grid, threads Dim, shared int) error {
	switch {
	case min(grid.X, grid.Y, grid.Z, threads.X, threads.Y, threads.Z) < 1 || max(grid.Y, grid.Z) > 65535 ||
		grid.X > 1<<31-1:
		return fmt.Errorf("a grid of %v blocks", grid)
	case threads.X*threads.Y*threads.Z > 1024 || threads.Z > 64:
		return fmt.Errorf("a block of %v threads, at most 1024 are possible", threads)
	case shared < 0 || shared > emulatedShared:
		return fmt.Errorf("%d bytes of shared memory, a block may have %d", shared, emulatedShared)
	}
	return nil
}

func (e *emulation) Sync() error { return nil }

func (e *emulation) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var overruns []error
	for _, b := range e.blocks {
		overruns = append(overruns, b.check())
		C.free(b.memory)
	}
	e.blocks, e.used = nil, 0
	if err := errors.Join(overruns...); err != nil {
		return fmt.Errorf("device: close: %w", err)
	}
	return nil
}
