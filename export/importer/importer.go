package importer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/degas-dns/degas/export/internal/h5"
	"github.com/degas-dns/degas/export/internal/keras"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

// Options say what a file does not.
type Options struct {
	// Encoder is one of model.Encoders, Alphabet one of the model's own, from ReadAlphabet. Without both, the encoder is
	// guessed from the model's layers, window and table.
	Encoder  string
	Alphabet *model.Encoder
	// Labels are in output order, the benign one first. nil means benign and malicious, or benign, label_1, label_2, … for
	// more outputs.
	Labels []string
	// Threshold is the lowest score that is not labelled benign. 0 means the file's own, or 0.5.
	Threshold float64
	// Producer becomes the model's.
	Producer string
}

// Origin says where a model came from.
type Origin struct {
	SHA256 string // the file's, in hexadecimal
	// Guess names the encoder and says how sure it is, if it was guessed: "degas, almost certain: …". It is "" if not.
	Guess string
}

// maxFile is far above the size of any model for names.
const maxFile = 1 << 30

// Read reads the Keras HDF5 file at path. Errors name the file, the layer and the shape at fault.
func Read(path string, o Options) (m *model.Model, from Origin, err error) {
	data, err := userfile.Bytes(path, maxFile)
	if err != nil {
		return nil, from, fmt.Errorf("import: %w", err)
	}
	if !h5.Recognize(data) {
		return nil, from, fmt.Errorf("import %s: it is not an HDF5 file. import-model reads Keras .h5 files only", path)
	}
	if m, from.Guess, err = parse(data, o); err != nil {
		return nil, from, fmt.Errorf("import %s: %w", path, err)
	}
	digest := sha256.Sum256(data)
	from.SHA256 = hex.EncodeToString(digest[:])
	return m, from, nil
}

// Parse reads a Keras HDF5 file's bytes. A file that degas exported contains its encoder and labels.
func Parse(data []byte, o Options) (*model.Model, error) {
	m, _, err := parse(data, o)
	return m, err
}

// parse is Parse. guess is as in Origin.
func parse(data []byte, o Options) (m *model.Model, guess string, err error) {
	root, k, err := open(data)
	if err != nil {
		return nil, "", err
	}
	group, err := root.Child("model_weights")
	if errors.Is(err, h5.ErrMissing) {
		group, err = root, nil // Keras' save_weights puts the layers at the root
	}
	if err == nil {
		err = k.readNorms(group)
	}
	if err != nil {
		return nil, "", err
	}
	chain, err := k.chain()
	if err != nil {
		return nil, "", err
	}
	m = &model.Model{Threshold: cmp.Or(o.Threshold, 0.5), Producer: o.Producer}
	m.Spec = model.Spec{Version: model.SpecVersion, Name: k.Name, Layers: layers(chain)}
	if _, _, shape := k.input(); shape != nil {
		image := model.Layer{Kind: model.KindImage, Height: shape[0], Width: shape[1]}
		m.Spec.Layers = slices.Insert(m.Spec.Layers, 0, image)
	}
	if guess, err = describe(m, k, root, o); err != nil {
		return nil, "", err
	}
	names := map[string]string{}
	if m.Weights, err = weights(&m.Spec, sequence(chain), root, group, names); err != nil {
		return nil, "", err
	}
	if masks := func(p placed) bool { return p.from != nil && p.from.masks }; slices.ContainsFunc(chain, masks) {
		if err := applyMask(m, names); err != nil {
			return nil, "", err
		}
	}
	return m, guess, m.Weights.Check(&m.Spec)
}

// open returns a file's root and configuration.
func open(data []byte) (*h5.Object, *kerasModel, error) {
	f, err := h5.Read(data)
	if err != nil {
		return nil, nil, err
	}
	root, err := f.Root()
	if err != nil {
		return nil, nil, err
	}
	config, err := root.Strings("model_config")
	switch {
	case errors.Is(err, h5.ErrMissing):
		return nil, nil, errors.New("it has no model_config: weights alone do not say what they are for. " +
			"Save it with model.save(\"x.h5\")")
	case err != nil:
		return nil, nil, err
	case len(config) != 1:
		return nil, nil, fmt.Errorf("model_config has %d values", len(config))
	}
	k, err := parseConfig(config[0])
	return root, k, err
}

// describe sets what only degas' own Keras files contain: the encoder and the labels. guess is as in Origin.
func describe(m *model.Model, k *kerasModel, root *h5.Object, o Options) (guess string, err error) {
	own, err := root.Strings(keras.OwnAttribute)
	if err == nil && len(own) == 1 && o.Encoder == "" && o.Alphabet == nil {
		var was model.Model
		if err := json.Unmarshal([]byte(own[0]), &was); err != nil {
			return "", fmt.Errorf("attribute %s: %w", keras.OwnAttribute, err)
		}
		was.Spec.Version, was.Spec.Layers = m.Spec.Version, m.Spec.Layers
		m.Spec = was.Spec
		m.Threshold, m.ThresholdFPR, m.Dataset = was.Threshold, was.ThresholdFPR, was.Dataset
		if o.Threshold != 0 {
			m.Threshold, m.ThresholdFPR = o.Threshold, 0
		}
	} else {
		input, window, _ := k.input()
		m.Spec.InputName = input
		if m.Spec.Encoder, guess, err = encoder(o, window, &m.Spec); err != nil {
			return "", err
		}
	}
	if len(o.Labels) > 0 {
		m.Spec.Labels = slices.Clone(o.Labels)
	}
	if m.Spec.Labels == nil {
		m.Spec.Labels = defaultLabels(m.Spec.Outputs())
	}
	return guess, m.Spec.Validate()
}

// input returns the name and the length of the model's input, 0 if the file does not say, and the shape of a picture,
// [height, width, 1].
func (k *kerasModel) input() (name string, window int, picture []int) {
	i := slices.IndexFunc(k.Layers, func(l kerasLayer) bool { return l.Class == "InputLayer" })
	if i < 0 {
		return "", 0, nil
	}
	l := &k.Layers[i]
	switch shape := l.inputShape(); len(shape) {
	case 1:
		return l.Name, shape[0], nil
	case 3:
		if shape[2] == 1 {
			picture = shape
		}
		return l.Name, shape[0] * shape[1], picture
	}
	return l.Name, l.Config.number(0, "input_length"), nil
}

// inputShape returns an input's shape without the batch, nil if it is incomplete or beyond reason.
func (l *kerasLayer) inputShape() []int {
	var shape []*int
	if l.Config.first(&shape, []string{"batch_shape", "batch_input_shape"}); len(shape) == 0 || l.Config.err() != nil {
		return nil
	}
	var out []int
	for _, d := range shape[1:] {
		if d == nil || *d < 0 || *d > maxInput {
			return nil
		}
		out = append(out, *d)
	}
	return out
}

// maxInput bounds each side of an input. The encoder's window bounds them together.
const maxInput = 1 << 15
