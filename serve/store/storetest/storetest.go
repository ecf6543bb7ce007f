// Package storetest holds every kind of store.Store to the contracts of package store. A kind calls [Run] in a test
// with a [Backend], which says how to open it and what it cannot do.
package storetest

import (
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store"
)

// Ability is something that a kind of store may lack.
type Ability uint

// Abilities.
const (
	// Survives: what was appended is found by another Open after Close.
	Survives Ability = 1 << iota
	// ErrorBound: Top keeps its promise that the true count lies between N-Error and N, also of long lists.
	ErrorBound
	// CloseWrites: Close writes what waits.
	CloseWrites
)

// Backend is a kind of store in a test.
type Backend struct {
	// Open opens a store. Each test opens place "a", which is empty at its start; one that opens "a" again, after it
	// closed the first store, expects to find the same events.
	Open func(t *testing.T, place string) store.Store
	// Refresh returns when all that was appended so far can be found. nil: waits a second and a half.
	Refresh func(t *testing.T, s store.Store)
	// Cannot are the abilities that the kind lacks. Their tests are skipped.
	Cannot Ability
}

func (b *Backend) refresh(t *testing.T, s store.Store) {
	t.Helper()
	if b.Refresh == nil {
		time.Sleep(1500 * time.Millisecond)
		return
	}
	b.Refresh(t, s)
}

// need skips a test of an ability that the kind lacks.
func (b *Backend) need(t *testing.T, a Ability) {
	t.Helper()
	if b.Cannot&a != 0 {
		t.Skip("this kind of store does not promise that")
	}
}

// Run runs all tests of a Store.
func Run(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *Backend)
	}{
		{"Answers", testAnswers},
		{"Empty", testEmpty},
		{"Concurrent", testConcurrent},
		{"Reopen", testReopen},
		{"LongTail", testLongTail},
		{"Late", testLate},
		{"Cancelled", testCancelled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, &b) })
	}
}
