package model

import (
	"errors"
	"fmt"
	"sync"

	"github.com/degas-dns/degas/model/builtin"
)

// BuiltinName stands for the built-in model wherever a program's user may name a model's directory. A directory of that
// name is ./builtin.
const BuiltinName = "builtin"

// released is the built-in model's weights, parsed and checked at the first use. A variable that is initialised with a
// function that names the files would keep them in every program.
var released struct {
	sync.Once
	weights Weights
	err     error
}

// Builtin returns the released model, which is part of the program. The caller gets a copy of its own and may change
// it. A program that cannot reach Builtin, LoadNamed, IsBuiltin or BuiltinCard is linked without the model's files.
func Builtin() (*Model, error) {
	file, err := parse([]byte(builtin.Spec)) // each time: copies of a Spec share its parts
	if err == nil {
		released.Do(func() {
			released.err = file.setWeights([]byte(builtin.Weights))
			released.weights = file.Weights
		})
		err = released.err
	}
	if err != nil {
		return nil, fmt.Errorf("read the built-in model: %w", err)
	}
	file.Weights = released.weights.Clone()
	return file.Model, nil
}

// BuiltinCard is the model card of the built-in model, in Markdown: what it learned from, what it was measured on, and
// what it is not for.
func BuiltinCard() string { return builtin.Card }

// IsBuiltin reports whether m is the built-in model, wherever it was read from.
func IsBuiltin(m *Model) (bool, error) {
	b, err := Builtin()
	if err != nil {
		return false, err
	}
	want, err := b.Digest()
	if err != nil {
		return false, err
	}
	got, err := m.Digest()
	return got == want, err
}

// LoadNamed returns the built-in model for BuiltinName, and what LoadAny reads for any other name.
func LoadNamed(name string) (*Model, error) {
	if name == BuiltinName {
		return Builtin()
	}
	m, err := LoadAny(name)
	if errors.Is(err, ErrNoModel) {
		next := "a run, a version directory of export-model, or " + BuiltinName
		if newest := NewestVersion(name); newest != "" {
			next = newest + ", the newest version in this store"
		}
		err = fmt.Errorf("%w. Try: %s", err, next)
	}
	return m, err
}
