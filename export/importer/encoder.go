package importer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

// alphabet is a file that says how names become codes.
type alphabet struct {
	Alphabet string `json:"alphabet"`
	First    *int   `json:"first code"`
	Pad      *int   `json:"pad"`
	Unknown  *int   `json:"unknown"`
	Window   int    `json:"window"`
	PadSide  string `json:"pad_side"`
	Keep     string `json:"keep"`
}

// ReadAlphabet reads an encoder of a model's own from a JSON file, such as
//
//	{"alphabet": "abcdefghijklmnopqrstuvwxyz0123456789-_.", "first code": 1, "pad": 0, "unknown": 0,
//	 "window": 64, "pad_side": "left", "keep": "last"}
//
// The first character has the first code, the next one the code after it. Names are padded with pad on pad_side, left
// or right, and of longer names the first or last characters stay. "unknown" is the code of any other character, pad if
// it is left out.
func ReadAlphabet(path string) (*model.Encoder, error) {
	data, err := userfile.Read(path, userfile.Config)
	if err != nil {
		return nil, err
	}
	e, err := parseAlphabet(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return e, nil
}

func parseAlphabet(data []byte) (*model.Encoder, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var a alphabet
	if err := d.Decode(&a); err != nil {
		return nil, err
	}
	if a.First == nil || a.Pad == nil {
		return nil, errors.New(`"first code" and "pad" are needed, the codes of the first character and of padding`)
	}
	for i, c := range a.Alphabet {
		if strings.ContainsRune(a.Alphabet[:i], c) {
			return nil, fmt.Errorf("the alphabet has %q twice, so that its code is not clear", c)
		}
	}
	e := &model.Encoder{Alphabet: a.Alphabet, Base: *a.First, Pad: *a.Pad, Unknown: *cmp.Or(a.Unknown, a.Pad),
		Window: a.Window, PadSide: a.PadSide, Keep: a.Keep, Lower: a.Alphabet == strings.ToLower(a.Alphabet)}
	return e, e.Validate()
}

// encoder chooses how names become codes: what o says, else a guess. guess is as in Origin.
func encoder(o Options, window int, spec *model.Spec) (e model.Encoder, guess string, err error) {
	switch {
	case o.Alphabet != nil:
		if window > 0 && window != o.Alphabet.Window {
			err = fmt.Errorf("its input has %d codes, the alphabet's window is %d", window, o.Alphabet.Window)
		}
		return *o.Alphabet, "", err
	case o.Encoder != "":
		e, err = model.NamedEncoder(o.Encoder)
		if window > 0 {
			e.Window = window
		}
		return e, "", err
	}
	return guessEncoder(window, spec)
}

// guessEncoder returns the known encoder that has the model's window and number of codes. If the layers are no
// preset's, no other encoder may make that number of codes, whatever its window.
func guessEncoder(window int, spec *model.Spec) (e model.Encoder, guess string, err error) {
	var name string
	var fit []string
	for _, n := range model.Encoders() {
		if known, err := model.NamedEncoder(n); err == nil && fits(n, known, spec.Layers) {
			fit = append(fit, n)
			if known.Window == window {
				e, name = known, n
			}
		}
	}
	rows := 0
	if len(spec.Layers) > 0 {
		rows = spec.Layers[0].Rows
	}
	says := fmt.Sprintf("it does not say how names become its %d codes below %d", window, rows)
	switch preset := presetOf(e, spec); {
	case name == "":
		return e, "", fmt.Errorf("%s, and no known encoder fits. Try: --alphabet FILE, which says so, or --encoder with one "+
			"of %s", says, strings.Join(model.Encoders(), ", "))
	case preset != "":
		return e, fmt.Sprintf("%s, almost certain: its layers are those of the preset %s", name, preset), nil
	case len(fit) > 1:
		return e, "", fmt.Errorf("%s: %s make that many. Try: --encoder with one of them, or --alphabet FILE",
			says, strings.Join(fit, " and "))
	}
	return e, name + ", unsure: it is the only known encoder with this window and number of codes", nil
}

// presetOf finds the preset that has e and spec's layers.
func presetOf(e model.Encoder, spec *model.Spec) string {
	for _, name := range model.Presets() {
		p, err := model.Preset(name)
		if err != nil || p.Encoder != e {
			continue
		}
		alike := *spec
		alike.Encoder, alike.Labels = e, p.Labels
		got, err := alike.Params()
		if want, wrong := p.Params(); err == nil && wrong == nil && reflect.DeepEqual(got, want) {
			return name
		}
	}
	return ""
}

// fits reports whether an encoder makes the codes that the first layer takes. The published degas has a table for all
// of ASCII, gta1 a row too many.
func fits(name string, e model.Encoder, layers []model.Layer) bool {
	if len(layers) == 0 || layers[0].Kind == model.KindImage {
		return len(layers) > 0 && name == "mlbridge"
	}
	rows := layers[0].Rows
	return rows == e.Codes() || name == "degas" && rows == 128 || name == "gta1" && rows == e.Codes()+1
}

func defaultLabels(outputs int) []string {
	if outputs <= 2 {
		return slices.Clone(model.BinaryLabels)
	}
	out := []string{"benign"}
	for i := 1; i < outputs; i++ {
		out = append(out, fmt.Sprintf("label_%d", i))
	}
	return out
}
