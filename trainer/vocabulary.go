package trainer

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/degas-dns/degas/model"
)

// vocabulary is the rows of an embedding that names can reach. A byte has one code, so they are 257 at most. gta1's
// table has 10,001, and folding all of them takes sixty times as long as a step needs.
type vocabulary struct {
	used  []int       // rows, ascending
	index map[int]int // and their places among used
	table string      // the embedding's parameter
}

// Reachable opens a session for the rows of the embedding that names can reach, where that saves much: the others stay
// as they began. An Engine whose time grows with the table calls it.
func Reachable(s Setup, open func(Setup) (Session, error)) (Session, error) {
	v := newVocabulary(s.Spec)
	if v == nil {
		return open(s)
	}
	small, err := v.reduced(s)
	if err != nil {
		return nil, err
	}
	inner, err := open(small)
	if err != nil {
		return nil, err
	}
	r := &reaching{Session: inner, vocabulary: v, full: s.Weights[v.table].Clone()}
	if on, ok := inner.(Resident); ok {
		return &residentReaching{r, on}, nil
	}
	return r, nil
}

// newVocabulary is nil where it would save little.
func newVocabulary(spec *model.Spec) *vocabulary {
	first := spec.Layers[0]
	if first.Kind != model.KindEmbedding {
		return nil
	}
	codes := map[int]bool{spec.Encoder.Pad: true, spec.Encoder.Unknown: true}
	for _, c := range spec.Encoder.Table() {
		codes[int(c)] = true
	}
	if first.Rows < 4*len(codes) {
		return nil
	}
	v := &vocabulary{used: slices.Sorted(maps.Keys(codes)), index: map[int]int{}}
	for i, c := range v.used {
		v.index[c] = i
	}
	return v
}

// reduced is the setup with the rows that are used alone.
func (v *vocabulary) reduced(s Setup) (Setup, error) {
	nodes, err := s.Spec.Graph()
	if err != nil {
		return s, err
	}
	v.table = nodes[1].Params[0].Name
	spec := *s.Spec
	spec.Layers = slices.Clone(spec.Layers)
	spec.Layers[0].Rows = len(v.used)
	spec.Encoder.Base, spec.Encoder.Pad, spec.Encoder.Unknown = 0, v.index[spec.Encoder.Pad], v.index[spec.Encoder.Unknown]
	s.Spec, s.Weights = &spec, v.take(s.Weights)
	return s, nil
}

// take replaces the embedding by the rows that are used.
func (v *vocabulary) take(w model.Weights) model.Weights {
	full, ok := w[v.table]
	if !ok {
		return w
	}
	out, dim := maps.Clone(w), full.Shape[1]
	small := model.NewTensor(len(v.used), dim)
	for i, row := range v.used {
		copy(small.Data[i*dim:(i+1)*dim], full.Data[row*dim:])
	}
	out[v.table] = small
	return out
}

// put writes the rows that are used over those of full and gives w with the whole table.
func (v *vocabulary) put(w model.Weights, full *model.Tensor) model.Weights {
	small, ok := w[v.table]
	if !ok {
		return w
	}
	t, dim := full.Clone(), full.Shape[1]
	for i, row := range v.used {
		copy(t.Data[row*dim:(row+1)*dim], small.Data[i*dim:(i+1)*dim])
	}
	w[v.table] = t
	return w
}

// reaching is a session that trains the rows names can reach; the others stay as they began.
type reaching struct {
	Session
	*vocabulary
	full  *model.Tensor // the table as it began
	batch Batch
}

func (r *reaching) Step(ctx context.Context, b *Batch) (float64, error) {
	codes := append(r.batch.Codes[:0], b.Codes...)
	r.batch = *b // with all that a batch has but its codes
	r.batch.Codes = codes
	for i, c := range r.batch.Codes {
		at, ok := r.index[int(c)]
		if !ok {
			return 0, fmt.Errorf("code %d at %d: the encoder makes none such", c, i)
		}
		r.batch.Codes[i] = uint16(at)
	}
	return r.Session.Step(ctx, &r.batch)
}

func (r *reaching) Weights() (model.Weights, error) {
	w, err := r.Session.Weights()
	return r.put(w, r.full), err
}

func (r *reaching) State() (State, error) {
	s, err := r.Session.State()
	zeros := model.NewTensor(r.full.Shape...)
	s.Weights, s.M, s.V = r.put(s.Weights, r.full), r.put(s.M, zeros), r.put(s.V, zeros)
	return s, err
}

func (r *reaching) Restore(s State) error {
	if t, ok := s.Weights[r.table]; !ok || !slices.Equal(t.Shape, r.full.Shape) {
		return fmt.Errorf("restore: %s is missing or of another shape than %v", r.table, r.full.Shape)
	}
	r.full = s.Weights[r.table].Clone()
	s.Weights, s.M, s.V = r.take(s.Weights), r.take(s.M), r.take(s.V)
	return r.Session.Restore(s)
}

// residentReaching is a reaching session whose device keeps the training set, as codes that Narrow made.
type residentReaching struct {
	*reaching
	DeviceSet
}

// Narrow writes the places of codes among the rows that are used. The encoder makes no others.
func (r *residentReaching) Narrow(dst []byte, codes []uint16) {
	for i, c := range codes {
		dst[i] = byte(r.index[int(c)])
	}
}
