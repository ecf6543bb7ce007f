// Package registry keeps what files add of themselves in init: presets, readers, engines, export formats. A new one is
// one new file, and no list or switch elsewhere changes.
package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/degas-dns/degas/internal/nearest"
)

// Registry holds values by the names that a user types. It is filled in init and only read afterwards.
type Registry[T any] struct {
	kind   string
	byName map[string]T
}

// New makes an empty registry. kind is what error messages call an entry: "export format".
func New[T any](kind string) *Registry[T] {
	return &Registry[T]{kind: kind, byName: map[string]T{}}
}

// Register adds v. It panics if the name is empty or taken: a programmer's error.
func (r *Registry[T]) Register(name string, v T) {
	if _, taken := r.byName[name]; taken || name == "" {
		panic(fmt.Sprintf("registry: %s %q has no name or is registered twice", r.kind, name))
	}
	r.byName[name] = v
}

// Lookup finds an entry. The error for an unknown name proposes the nearest one and lists all.
func (r *Registry[T]) Lookup(name string) (T, error) {
	v, ok := r.byName[name]
	if ok {
		return v, nil
	}
	return v, r.unknown(name)
}

func (r *Registry[T]) unknown(name string) error {
	known, hint := r.Names(), ""
	if len(known) == 0 {
		return fmt.Errorf("unknown %s %q: none is linked into this program", r.kind, name)
	}
	if best := nearest.Of(name, known); best != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", best)
	}
	return fmt.Errorf("unknown %s %q%s, known are: %s", r.kind, name, hint, strings.Join(known, ", "))
}

// Names lists the names in alphabetical order.
func (r *Registry[T]) Names() []string { return slices.Sorted(maps.Keys(r.byName)) }

// All lists the entries in the order of Names.
func (r *Registry[T]) All() []T {
	out := make([]T, 0, len(r.byName))
	for _, name := range r.Names() {
		out = append(out, r.byName[name])
	}
	return out
}
