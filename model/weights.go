package model

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/degas-dns/degas/internal/float16"
)

// Tensor is a dense float32 array in row-major order.
type Tensor struct {
	Shape []int
	Data  []float32 // len is the product of Shape
}

// NewTensor returns a zero tensor of a shape.
func NewTensor(shape ...int) *Tensor {
	return &Tensor{Shape: slices.Clone(shape), Data: make([]float32, sizeOf(shape))}
}

// Clone copies t.
func (t *Tensor) Clone() *Tensor {
	return &Tensor{Shape: slices.Clone(t.Shape), Data: slices.Clone(t.Data)}
}

// Weights are a model's learned tensors by parameter name ("conv1d/kernel"). Layouts are Keras': Embedding
// [rows, dim], Conv1D [kernel, in, filters], Dense [in, units], LSTM kernel [in, 4·units], recurrent_kernel
// [units, 4·units] and bias [4·units] with gates in the order i, f, c, o.
type Weights map[string]*Tensor

// Clone copies w and every tensor in it.
func (w Weights) Clone() Weights {
	out := make(Weights, len(w))
	for n, t := range w {
		out[n] = t.Clone()
	}
	return out
}

// Towards moves w that share of the way to another model's weights of the same shapes.
func (w Weights) Towards(to Weights, share float64) {
	keep, move := float32(1-share), float32(share)
	for n, t := range w {
		from := to[n].Data
		for i, v := range t.Data {
			t.Data[i] = keep*v + move*from[i]
		}
	}
}

// Size is the number of parameters.
func (w Weights) Size() int {
	n := 0
	for _, t := range w {
		n += len(t.Data)
	}
	return n
}

// Check says whether w holds exactly the parameters of spec, in the right shapes and finite.
func (w Weights) Check(spec *Spec) error {
	params, err := spec.Params()
	if err != nil {
		return err
	}
	for _, p := range params {
		t, ok := w[p.Name]
		if !ok {
			return fmt.Errorf("weights: %s is missing", p.Name)
		}
		if !slices.Equal(t.Shape, p.Shape) || len(t.Data) != p.Size() {
			return fmt.Errorf("weights: %s is %v with %d values, want %v", p.Name, t.Shape, len(t.Data), p.Shape)
		}
		const exponent = 0xff << 23 // all ones for infinities and NaNs: math's functions take 10 times as long
		for i, v := range t.Data {
			if math.Float32bits(v)&exponent == exponent {
				return fmt.Errorf("weights: %s value %d is %v", p.Name, i, v)
			}
		}
	}
	if len(w) != len(params) {
		return fmt.Errorf("weights: %d tensors, the model has %d parameters", len(w), len(params))
	}
	return nil
}

// maxHeader bounds a safetensors header: far above what any Spec needs, far below what would hurt.
const maxHeader = 16 << 20

// MaxWeightsBytes bounds a safetensors file with so many copies of a model's weights.
func MaxWeightsBytes(spec *Spec, copies int) (int64, error) {
	params, err := spec.Params()
	limit := int64(maxHeader)
	for _, p := range params {
		limit += 4 * int64(p.Size()) * int64(copies)
	}
	return limit, err
}

type tensorHeader struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// dtype is how a safetensors file holds numbers. append adds one to a buffer, read fills dst from len(dst)·size bytes.
type dtype struct {
	size   int // bytes
	append func(buf []byte, v float32) ([]byte, error)
	read   func(dst []float32, src []byte)
}

// dtypes are those that ReadWeights knows, by their names in a header. A network computes with float32; float16 halves
// a released model's file.
var dtypes = map[string]dtype{
	"F32": {
		size: 4,
		append: func(buf []byte, v float32) ([]byte, error) {
			return binary.LittleEndian.AppendUint32(buf, math.Float32bits(v)), nil
		},
		read: func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
			}
		},
	},
	"F16": {
		size: 2,
		append: func(buf []byte, v float32) ([]byte, error) {
			h, err := float16.Round(v)
			return binary.LittleEndian.AppendUint16(buf, h), err
		},
		read: func(dst []float32, src []byte) {
			for i := range dst {
				dst[i] = float16.Widen(binary.LittleEndian.Uint16(src[2*i:]))
			}
		},
	},
}

// WriteTo writes w in the safetensors format (https://github.com/huggingface/safetensors), tensors sorted by name, so
// that equal weights give equal bytes.
func (w Weights) WriteTo(out io.Writer) (int64, error) {
	buf, err := w.encode("F32")
	if err != nil {
		return 0, err
	}
	n, err := out.Write(buf)
	return int64(n), err
}

// encode returns the safetensors file of w with all numbers of one dtype. It is an error if a number does not fit.
func (w Weights) encode(name string) ([]byte, error) {
	kind := dtypes[name]
	names := slices.Sorted(maps.Keys(w))
	header := map[string]tensorHeader{}
	var at int64
	for _, n := range names {
		end := at + int64(kind.size*len(w[n].Data))
		header[n] = tensorHeader{DType: name, Shape: w[n].Shape, Offsets: [2]int64{at, end}}
		at = end
	}
	head, err := json.Marshal(header) // sorts the keys
	if err != nil {
		return nil, err
	}
	for len(head)%8 != 0 { // the format aligns the data with spaces
		head = append(head, ' ')
	}
	buf := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(head)+int(at)), uint64(len(head)))
	buf = append(buf, head...)
	for _, n := range names {
		for i, v := range w[n].Data {
			if buf, err = kind.append(buf, v); err != nil {
				return nil, fmt.Errorf("weights: %s value %d: %w", n, i, err)
			}
		}
	}
	return buf, nil
}

// ReadWeights parses a safetensors file of float32 or float16 tensors. Anything inconsistent is an error.
func ReadWeights(data []byte) (Weights, error) {
	if len(data) < 8 {
		return nil, errors.New("safetensors: shorter than its header length")
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return nil, fmt.Errorf("safetensors: header of %d bytes in a file of %d", n, len(data))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	body := data[8+n:]
	delete(header, "__metadata__")
	w, left := Weights{}, int64(len(body))
	for name, raw := range header {
		t, err := readTensor(raw, body, &left)
		if err != nil {
			return nil, fmt.Errorf("safetensors: %s: %w", name, err)
		}
		w[name] = t
	}
	if left > 0 {
		return nil, fmt.Errorf("safetensors: %d bytes are of no tensor", left)
	}
	return w, nil
}

// readTensor reads a tensor of the body. left counts the bytes of it that no tensor has had: tensors that share bytes
// would take more memory than the file.
func readTensor(raw json.RawMessage, body []byte, left *int64) (*Tensor, error) {
	var h tensorHeader
	if err := json.Unmarshal(raw, &h); err != nil {
		return nil, err
	}
	kind, ok := dtypes[h.DType]
	if !ok {
		return nil, fmt.Errorf("dtype %q, only F32 and F16 are read", h.DType)
	}
	size := int64(1)
	for _, d := range h.Shape {
		if d < 0 || (d > 0 && size > math.MaxInt32/int64(d)) {
			return nil, fmt.Errorf("shape %v is out of range", h.Shape)
		}
		size *= int64(d)
	}
	from, to := h.Offsets[0], h.Offsets[1]
	if from < 0 || to < from || to > int64(len(body)) || to-from != int64(kind.size)*size {
		return nil, fmt.Errorf("bytes %d to %d for shape %v in a body of %d", from, to, h.Shape, len(body))
	}
	if *left -= to - from; *left < 0 {
		return nil, errors.New("tensors share bytes")
	}
	t := &Tensor{Shape: h.Shape, Data: make([]float32, size)}
	kind.read(t.Data, body[from:to])
	return t, nil
}
