package cuda

import (
	"context"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// Supports says which layer of a Spec has no kernel; nil where all have one.
func (engine) Supports(spec *model.Spec) error {
	w, err := model.Initial(spec, 1)
	if err != nil {
		return err
	}
	_, err = trainer.Reachable(trainer.Setup{Spec: spec, Weights: w, BatchSize: 1},
		func(s trainer.Setup) (trainer.Session, error) {
			_, err := plan(nowhere{}, s, trainer.PrecisionBF16, new(uint64))
			return nothing{}, err
		})
	return err
}

// nothing is the session of a plan that will not be carried out.
type nothing struct{ trainer.Session }

// nowhere is a device for plans: it has room for everything and does nothing. Its shared memory is the least of any
// device that the kernels run on, compute capability 8.6.
type nowhere struct{}

var _ device.Device = nowhere{}

func (nowhere) Info() device.Info                                           { return device.Info{} }
func (nowhere) SharedMemory() int                                           { return 99 << 10 }
func (nowhere) Alloc(int) (device.Address, error)                           { return 256, nil }
func (nowhere) Free(device.Address) error                                   { return nil }
func (nowhere) Clear(device.Address, int) error                             { return nil }
func (nowhere) Upload(device.Address, []byte) error                         { return context.Canceled }
func (nowhere) Ahead(device.Address, []byte) error                          { return context.Canceled }
func (nowhere) Download([]byte, device.Address) error                       { return context.Canceled }
func (nowhere) Fetch(device.Address, int) (func([]byte) error, error)       { return nil, context.Canceled }
func (nowhere) Launch(string, device.Dim, device.Dim, int, ...uint64) error { return context.Canceled }
func (nowhere) Sync() error                                                 { return nil }
func (nowhere) Close() error                                                { return nil }
