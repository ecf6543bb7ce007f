package model

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
)

// SubSeed derives the seed of one purpose from a run's seed, so that a new use of randomness changes no other.
func SubSeed(seed uint64, purpose string) uint64 {
	h := fnv.New64a()
	h.Write(binary.LittleEndian.AppendUint64(nil, seed))
	h.Write([]byte(purpose))
	return h.Sum64()
}

// Initial returns fresh weights as Keras would start them: embeddings uniform in ±0.05, kernels Glorot uniform
// (proceedings.mlr.press/v9/glorot10a), recurrent kernels orthogonal (arXiv:1312.6120), biases zero but for an LSTM's
// forget gate, which starts at one. An LSTM with Clip starts as one with Keras 2's hard sigmoid. Every tensor has its
// own stream, so it depends on the seed and its name alone.
func Initial(spec *Spec, seed uint64) (Weights, error) {
	nodes, err := spec.Graph()
	if err != nil {
		return nil, err
	}
	w := Weights{}
	for _, n := range nodes {
		w.start(n, seed)
		if n.Layer.RecurrentActivation == Clip {
			w.ScaleGates(n, 0.2, 0.5)
		}
	}
	return w, nil
}

// start adds node n's parameters.
func (w Weights) start(n Node, seed uint64) {
	for _, p := range n.Params {
		t := NewTensor(p.Shape...)
		rng := rand.New(rand.NewPCG(seed, SubSeed(seed, p.Name)))
		switch name := p.Name[strings.LastIndexByte(p.Name, '/')+1:]; {
		case name == "embeddings":
			uniform(t.Data, 0.05, rng)
		case name == "recurrent_kernel":
			orthogonal(t.Data, p.Shape[0], p.Shape[1], rng)
		case name == "kernel":
			uniform(t.Data, glorot(p.Shape), rng)
		case name == "bias" && n.Kind == KindLSTM:
			units := p.Shape[0] / 4
			for i := units; i < 2*units; i++ {
				t.Data[i] = 1
			}
		}
		w[p.Name] = t
	}
}

// ScaleGates changes w so that the gates of n, an lstm or a gru, get slope·x + shift where they got x. Weights for hard
// sigmoids of that slope and shift become weights for Clip.
func (w Weights) ScaleGates(n Node, slope, shift float64) {
	for _, p := range n.Params {
		width, bias := p.Shape[len(p.Shape)-1], strings.HasSuffix(p.Name, "/bias")
		for i, v := range w[p.Name].Data {
			if i%width/n.Layer.Units == 2 { // the candidates are no gate
				continue
			}
			v := slope * float64(v)
			if bias && i < width { // a gru may have a second bias, which is added to the first
				v += shift
			}
			w[p.Name].Data[i] = float32(v)
		}
	}
}

func uniform(x []float32, limit float64, rng *rand.Rand) {
	for i := range x {
		x[i] = float32((2*rng.Float64() - 1) * limit)
	}
}

// glorot is the limit sqrt(6 / (fan in + fan out)); a convolution's receptive field multiplies both fans.
func glorot(shape []int) float64 {
	field := 1
	for _, d := range shape[:len(shape)-2] {
		field *= d
	}
	in, out := shape[len(shape)-2], shape[len(shape)-1]
	return math.Sqrt(6 / float64(field*(in+out)))
}

// orthogonal fills the [rows, cols] matrix x, rows <= cols, with orthonormal rows: Gram-Schmidt on Gaussian rows, which
// gives the same distribution as a sign-corrected QR.
func orthogonal(x []float32, rows, cols int, rng *rand.Rand) {
	basis := make([][]float64, 0, rows)
	for len(basis) < rows {
		v := make([]float64, cols)
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		for range 2 { // twice is enough for orthogonality to rounding
			for _, b := range basis {
				axpy(v, b, -dot(v, b))
			}
		}
		norm := math.Sqrt(dot(v, v))
		for i := range v {
			v[i] /= norm
		}
		basis = append(basis, v)
	}
	for i, b := range basis {
		for j, v := range b {
			x[i*cols+j] = float32(v)
		}
	}
}

func dot(a, b []float64) float64 {
	var s float64
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func axpy(dst, src []float64, a float64) {
	for i, v := range src {
		dst[i] += a * v
	}
}
