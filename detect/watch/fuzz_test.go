package watch

import (
	"bytes"
	"os"
	"testing"
	"time"
)

// FuzzRestore reads states of any bytes: what is read can be gone on with.
func FuzzRestore(f *testing.F) {
	w := New(Options{Seed: 1, Live: true})
	observe(f, w, office(f)[:300])
	var state bytes.Buffer
	if err := w.Save(&state); err != nil {
		f.Fatal(err)
	}
	f.Add(state.Bytes())
	all := office(f)[300:400]
	decisions := decide(f, all)
	f.Fuzz(func(t *testing.T, data []byte) {
		w := New(Options{Live: true, Zones: 64, Clients: 64})
		if w.Restore(bytes.NewReader(data)) != nil {
			return
		}
		for i := range all {
			w.Observe(&all[i], &decisions[i])
		}
		w.Now(start.Add(time.Hour))
	})
}

// FuzzBaseline reads baselines of any bytes.
func FuzzBaseline(f *testing.F) {
	b := New(Options{Seed: 1}).Learn(nil, start)
	path := f.TempDir() + "/b.json"
	if err := b.Write(path); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := ReadBaseline(path); err == nil {
			New(Options{Baseline: b})
		}
	})
}
