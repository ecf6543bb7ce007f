//go:build gpu && !emulate

package device

// #include <cuda.h>
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"
)

const (
	stagingSlots = 4
	stagingBytes = 4 << 20 // of a slot
)

// staging is a ring of pinned host memory: a copy from there is queued like a kernel, while the driver may make one
// from other memory wait for all that was queued before.
type staging struct {
	stream cu.Stream
	slots  [stagingSlots]slot
	next   int
}

// slot is free when the event has come to pass; it is recorded behind the slot's last copy.
type slot struct {
	memory unsafe.Pointer // stagingBytes
	done   cu.Event
	used   bool
}

// newStaging needs the context to be current.
func newStaging(stream cu.Stream) (*staging, error) {
	s := &staging{stream: stream}
	for i := range s.slots {
		if code := C.cuMemHostAlloc(&s.slots[i].memory, stagingBytes, 0); code != C.CUDA_SUCCESS {
			return nil, fmt.Errorf("allocate %d bytes of pinned memory: CUDA error %d", stagingBytes, code)
		}
		var err error
		if s.slots[i].done, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return nil, fmt.Errorf("make an event: %w", err)
		}
	}
	return s, nil
}

// upload queues a copy of the data and returns when it is in the ring.
func (s *staging) upload(to Address, data []byte) error {
	for len(data) > 0 {
		slot := &s.slots[s.next]
		s.next = (s.next + 1) % stagingSlots
		if slot.used {
			if err := slot.done.Synchronize(); err != nil {
				return err
			}
		}
		n := copy(unsafe.Slice((*byte)(slot.memory), stagingBytes), data)
		if err := cu.MemcpyHtoDAsync(cu.DevicePtr(to), slot.memory, int64(n), s.stream); err != nil {
			return err
		}
		if err := slot.done.Record(s.stream); err != nil {
			return err
		}
		slot.used = true
		to, data = to+Address(n), data[n:]
	}
	return nil
}

// close frees the ring; errors do not matter, the context is about to be destroyed.
func (s *staging) close() {
	for i := range s.slots {
		C.cuMemFreeHost(s.slots[i].memory)
	}
}
