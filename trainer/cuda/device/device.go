// Package device runs CUDA kernels: it holds the memory of one device and one queue of transfers and launches. A build
// tag chooses what is behind it: nothing, an NVIDIA driver (gpu) or, for tests, an emulation on the CPU (emulate).
package device

import "errors"

// Errors that callers test with errors.Is.
var (
	ErrMemory = errors.New("device: out of memory")
	// ErrLost says that a kernel or the hardware failed. Only a new process can use the device again.
	ErrLost = errors.New("device: lost")
	// ErrNone says that there is no device, or none that this binary can use.
	ErrNone = errors.New("device: no usable device")
)

// Address is a place in a device's memory; adding to it counts bytes. 0 is none.
type Address uint64

// Fetches is how many copies that Fetch queued may wait to be collected.
const Fetches = 4

// Dim is the size of a grid, in blocks, or of a block, in threads. 0 counts as 1.
type Dim struct{ X, Y, Z int }

// Info describes one device.
type Info struct {
	Index           int    `json:"index"` // what Open takes
	Name            string `json:"name"`
	Memory          int64  `json:"memory"`  // bytes
	Free            int64  `json:"free"`    // bytes, 0 when the device cannot be used
	Compute         string `json:"compute"` // compute capability, such as 9.0
	Driver          string `json:"driver"`  // the newest CUDA version the driver knows, such as 13.0
	Multiprocessors int    `json:"multiprocessors"`
	Problem         string `json:"problem,omitempty"` // why it cannot be used; empty when it can
}

// Device is an open device. Its methods may be called from any goroutine; calls wait for each other.
type Device interface {
	Info() Info
	// SharedMemory is how many bytes of shared memory one block may have.
	SharedMemory() int
	// Alloc returns memory aligned to 256 bytes, with anything in it; ErrMemory when there is too little.
	Alloc(bytes int) (Address, error)
	// Free waits for the queue. Address 0 is left alone.
	Free(a Address) error
	// Clear queues the writing of zeros.
	Clear(a Address, bytes int) error
	// Upload queues a copy to the device. The data may be changed once it has returned.
	Upload(to Address, data []byte) error
	// Ahead is an Upload that waits only for what was queued before the last Ahead, and for which all that is queued later
	// waits. With two places in turn, one is filled while kernels read the other.
	Ahead(to Address, data []byte) error
	// Download waits for everything queued before it, and returns the errors of those kernels too.
	Download(data []byte, from Address) error
	// Fetch queues a copy of bytes to the host. collect waits for that copy alone, puts it into data, which has room for
	// all of it, and returns the errors of the kernels before it. It is called once, before there have been Fetches more
	// Fetches, or not at all.
	Fetch(from Address, bytes int) (collect func(data []byte) error, err error)
	// Launch queues a kernel: shared is its bytes of dynamic shared memory, args are its parameters in their order, an
	// Address or integer as it is, a float32 as its bits. The kernel's own errors come with a later call.
	Launch(kernel string, grid, block Dim, shared int, args ...uint64) error
	// Sync waits for the queue and returns the errors of what was in it.
	Sync() error
	// Close frees all of the device's memory. No other method may be called after it.
	Close() error
}
