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

// staging is two rings of pinned host memory, one for each direction. A copy there is queued like a kernel; the driver
// may make one of other memory wait for all that was queued before.
type staging struct {
	stream  cu.Stream
	slots   [stagingSlots]slot
	next    int
	back    [Fetches]slot
	fetched uint64 // copies queued to the host

	beside cu.Stream // where copies run ahead of the queue
	last   cu.Event  // what had been queued at the last of them
	came   cu.Event  // its end
	begun  bool      // there was one
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
	events := []*cu.Event{&s.last, &s.came}
	for _, slot := range s.all() {
		if code := C.cuMemHostAlloc(&slot.memory, stagingBytes, 0); code != C.CUDA_SUCCESS {
			return nil, fmt.Errorf("allocate %d bytes of pinned memory: CUDA error %d", stagingBytes, code)
		}
		events = append(events, &slot.done)
	}
	var err error
	for _, e := range events {
		if *e, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return nil, fmt.Errorf("make an event: %w", err)
		}
	}
	if s.beside, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return nil, fmt.Errorf("make a stream: %w", err)
	}
	return s, nil
}

func (s *staging) all() (all []*slot) {
	for i := range s.slots {
		all = append(all, &s.slots[i])
	}
	for i := range s.back {
		all = append(all, &s.back[i])
	}
	return all
}

// ahead queues a copy that waits for what was queued before the last such copy, and makes the queue wait for it.
func (s *staging) ahead(to Address, data []byte) error {
	if !s.begun { // the first waits for all
		if err := s.last.Record(s.stream); err != nil {
			return err
		}
		s.begun = true
	}
	if err := s.beside.Wait(s.last, 0); err != nil {
		return err
	}
	if err := s.last.Record(s.stream); err != nil { // what waits for its record before waits for that one still
		return err
	}
	if err := s.upload(to, data, s.beside); err != nil {
		return err
	}
	if err := s.came.Record(s.beside); err != nil {
		return err
	}
	return s.stream.Wait(s.came, 0)
}

// fetch queues a copy to the host and returns its number.
func (s *staging) fetch(from Address, bytes int) (uint64, error) {
	slot := &s.back[s.fetched%Fetches] // whose copies, if nobody has collected the last, come one after the other
	s.fetched++
	if bytes > 0 {
		if err := cu.MemcpyDtoHAsync(slot.memory, cu.DevicePtr(from), int64(bytes), s.stream); err != nil {
			return 0, err
		}
	}
	return s.fetched, slot.done.Record(s.stream)
}

// collect waits for a copy to the host and takes it out of the ring.
func (s *staging) collect(data []byte, number uint64) error {
	if number+Fetches <= s.fetched {
		return fmt.Errorf("its place went to another: at most %d may wait", Fetches)
	}
	slot := &s.back[(number-1)%Fetches]
	if err := slot.done.Synchronize(); err != nil {
		return err
	}
	copy(data, unsafe.Slice((*byte)(slot.memory), stagingBytes))
	return nil
}

// upload queues a copy of the data in a stream and returns when it is in the ring.
func (s *staging) upload(to Address, data []byte, stream cu.Stream) error {
	for len(data) > 0 {
		slot := &s.slots[s.next]
		s.next = (s.next + 1) % stagingSlots
		if slot.used {
			if err := slot.done.Synchronize(); err != nil {
				return err
			}
		}
		n := copy(unsafe.Slice((*byte)(slot.memory), stagingBytes), data)
		if err := cu.MemcpyHtoDAsync(cu.DevicePtr(to), slot.memory, int64(n), stream); err != nil {
			return err
		}
		if err := slot.done.Record(stream); err != nil {
			return err
		}
		slot.used = true
		to, data = to+Address(n), data[n:]
	}
	return nil
}

// close frees the rings; errors do not matter, the context is about to be destroyed.
func (s *staging) close() {
	for _, slot := range s.all() {
		C.cuMemFreeHost(slot.memory)
	}
}
