package cuda

import (
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
			_, err := layOut(nowhere{}, s, trainer.PrecisionBF16, new(uint64))
			return nothing{}, err
		})
	return err
}

// nothing is the session of a network that is only laid out.
type nothing struct{ trainer.Session }

// nowhere is a device to lay networks out on, with room for everything and no other methods than that takes. Its shared
// memory is the least of any device that the kernels run on, compute capability 8.6.
type nowhere struct{ device.Device }

func (nowhere) SharedMemory() int                 { return 99 << 10 }
func (nowhere) Alloc(int) (device.Address, error) { return 256, nil }
func (nowhere) Free(device.Address) error         { return nil }
func (nowhere) Clear(device.Address, int) error   { return nil }
