package cuda

import (
	"fmt"
	"unsafe"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

func bytesOf[T any](x []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(one)))
}

// put copies tensors to the places their parameters have in memory that starts at base.
func (n *network) put(base device.Address, w model.Weights) error {
	if err := w.Check(n.spec); err != nil {
		return err
	}
	n.folded = false
	all := make([]float32, 0, n.size)
	for _, p := range n.params {
		all = append(all, w[p.Name].Data...)
	}
	if err := n.dev.Upload(base, bytesOf(all)); err != nil {
		return fmt.Errorf("copy %d parameters to the device: %w", n.size, err)
	}
	return nil
}

// get copies them back.
func (n *network) get(base device.Address) (model.Weights, error) {
	all := make([]float32, n.size)
	if err := n.dev.Download(bytesOf(all), base); err != nil {
		return nil, fmt.Errorf("copy %d parameters from the device: %w", n.size, err)
	}
	w := model.Weights{}
	for _, p := range n.params {
		t := model.NewTensor(p.Shape...)
		all = all[copy(t.Data, all):]
		w[p.Name] = t
	}
	return w, nil
}
