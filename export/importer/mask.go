package importer

import (
	"fmt"
	"strings"

	"github.com/degas-dns/degas/model"
)

// closed is what keeps an LSTM's input gate at 0 and its forget gate at 1, and a GRU's update gate at 1, whatever else
// they get.
const closed = 100

// applyMask makes m do what an Embedding's mask_zero does: LSTMs and GRUs that read the embedding skip code 0. Other
// layers ignore the mask, and convolutions and poolings drop it. The embedding gets a feature that is 1 for code 0
// alone, and it closes the gates of those layers: they enter a name with the state they began with. That holds for
// padding before the name. So if they alone read the embedding, for which it makes no difference, padding moves to the
// left. names are the layers' names in Keras.
func applyMask(m *model.Model, names map[string]string) error {
	list, err := m.Spec.Graph()
	if err != nil {
		return err
	}
	embedding, readers, others := list[1], []model.Node(nil), []model.Node(nil)
	embedded := map[string]bool{embedding.Name: true}
	for _, n := range list[2:] {
		switch {
		case !embedded[n.Inputs[0]]:
		case n.Kind == model.KindDropout:
			embedded[n.Name] = true
		case n.Kind == model.KindLSTM || n.Kind == model.KindGRU:
			readers = append(readers, n)
		default:
			others = append(others, n)
		}
	}
	if len(readers) == 0 {
		return nil
	}
	if err := maskable(&m.Spec.Encoder, readers, others, names); err != nil {
		return fmt.Errorf("mask_zero: %w", err)
	}
	m.Spec.Encoder.PadSide = model.Left
	m.Spec.Layers[0].Dim++
	table := m.Weights[embedding.Params[0].Name]
	m.Weights[embedding.Params[0].Name] = widened(table)
	m.Weights[embedding.Params[0].Name].Data[table.Shape[1]] = 1
	for _, n := range others {
		m.Weights[n.Params[0].Name] = deepened(m.Weights[n.Params[0].Name])
	}
	for _, n := range readers {
		kernel := deepened(m.Weights[n.Params[0].Name])
		gates := kernel.Data[len(kernel.Data)-kernel.Shape[1]:]
		for u := range n.Layer.Units {
			if gates[u] = closed; n.Kind == model.KindLSTM { // i and f; a GRU's z keeps the state
				gates[u], gates[n.Layer.Units+u] = -closed, closed
			}
		}
		m.Weights[n.Params[0].Name] = kernel
	}
	return nil
}

// maskable says why a mask cannot be applied.
func maskable(e *model.Encoder, readers, others []model.Node, names map[string]string) error {
	for _, n := range readers {
		if n.Layer.Bidirectional {
			return fmt.Errorf("it is not read in front of a Bidirectional, such as %s", names[n.Name])
		}
		if n.Layer.ReturnSequences { // what reads them is masked too
			return fmt.Errorf("it is not read in front of a layer with return_sequences, such as %s", names[n.Name])
		}
	}
	for _, n := range others {
		if n.Kind != model.KindConv1D {
			return fmt.Errorf("it is only read if LSTMs, GRUs and convolutions read the embedding, not %s", names[n.Name])
		}
	}
	if e.Pad != 0 {
		return fmt.Errorf("it skips code 0, but the encoder pads with code %d", e.Pad)
	}
	if len(others) > 0 && e.PadSide != model.Left {
		return fmt.Errorf("it is only read with padding on the left if %s reads the embedding too", names[others[0].Name])
	}
	table := e.Table()
	if i := strings.IndexFunc(model.NameAlphabet, func(c rune) bool { return table[c] == 0 }); i >= 0 {
		return fmt.Errorf("it skips code 0, which the encoder gives to %q too", model.NameAlphabet[i])
	}
	return nil
}

// widened copies a matrix with a column of zeros more.
func widened(t *model.Tensor) *model.Tensor {
	rows, width := t.Shape[0], t.Shape[1]
	out := model.NewTensor(rows, width+1)
	for r := range rows {
		copy(out.Data[r*(width+1):], t.Data[r*width:(r+1)*width])
	}
	return out
}

// deepened copies a kernel, [kernel…, in, out], with an input of zeros more.
func deepened(t *model.Tensor) *model.Tensor {
	last := len(t.Shape) - 1
	shape := append([]int(nil), t.Shape...)
	shape[last-1]++
	out := model.NewTensor(shape...)
	from, to := t.Shape[last-1]*t.Shape[last], shape[last-1]*shape[last]
	for k := range len(t.Data) / from {
		copy(out.Data[k*to:], t.Data[k*from:(k+1)*from])
	}
	return out
}
