package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
	"github.com/degas-dns/degas/trainer/cuda/device"
)

// faulty is the CPU engine, but in tf32 all is NaN and in bf16 the device is lost: at the first gradient, at the second
// step.
type faulty struct{ trainer.Engine }

// open counts its sessions.
var open int

func init() {
	cpu, err := trainer.Engines.Lookup("cpu")
	if err != nil {
		panic(err)
	}
	trainer.Engines.Register("faulty", faulty{cpu})
}

func (f faulty) Start(ctx context.Context, s trainer.Setup) (trainer.Session, error) {
	precision := s.Precision
	s.Precision = ""
	ses, err := f.Engine.Start(ctx, s)
	if err != nil {
		return nil, err
	}
	open++
	return &faultySession{ses.(trainer.Differentiator), precision, 0}, nil
}

type faultySession struct {
	trainer.Differentiator
	precision string
	steps     int
}

func (s *faultySession) Gradients(b *trainer.Batch) (float64, model.Weights, error) {
	if s.precision == trainer.PrecisionBF16 {
		return 0, nil, fmt.Errorf("gradient: %w", device.ErrLost)
	}
	loss, grads, err := s.Differentiator.Gradients(b)
	if s.precision == trainer.PrecisionTF32 {
		for _, g := range grads {
			g.Data[0] = float32(math.NaN())
		}
	}
	return loss, grads, err
}

func (s *faultySession) Step(ctx context.Context, b *trainer.Batch) (float64, error) {
	s.steps++
	if s.precision == trainer.PrecisionBF16 && s.steps == 2 {
		return 0, device.ErrLost
	}
	loss, err := s.Differentiator.Step(ctx, b)
	if s.precision == trainer.PrecisionTF32 {
		loss = math.NaN()
	}
	return loss, err
}

func (s *faultySession) Close() error {
	open--
	return s.Differentiator.Close()
}

// shown runs a part and gives the last line it printed.
func shown(t *testing.T, p part) map[string]json.RawMessage {
	t.Helper()
	c := &check{names: []string{"example.org", "qwxkzv.example"}, labels: []int{0, 1}, quick: true, engine: "faulty",
		presets: []string{"cnn"}}
	var text bytes.Buffer
	if err := c.one(t.Context(), p, map[string]any{}, json.NewEncoder(&text)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	var out map[string]json.RawMessage
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &out); err != nil {
		t.Fatalf("%v: %s", err, lines[len(lines)-1])
	}
	if open != 0 {
		t.Errorf("%d sessions are open", open)
	}
	return out
}

func TestFaultyDevice(t *testing.T) {
	for _, test := range []struct {
		part     string
		want     []string // presets and precisions that have a result
		wantText string   // in the result
		wantErrs []string // how the lines of the error begin
	}{
		{"gradients", []string{"cnn fp32", "cnn tf32"}, `"NaN"`,
			[]string{"cnn tf32: no finite gradient of ", "cnn bf16: gradient: device: lost"}},
		{"trajectories", []string{"cnn bf16", "cnn fp32", "cnn tf32"}, `"largest_relative_difference":"NaN"`,
			[]string{"cnn tf32: no finite loss", "cnn bf16: device: lost"}},
	} {
		run, err := choose(test.part)
		if err != nil {
			t.Fatal(err)
		}
		out := shown(t, run[0])
		var result map[string]any
		if err := json.Unmarshal(out[test.part], &result); err != nil {
			t.Fatalf("%s: %v", test.part, err)
		}
		var got []string
		for key := range result {
			got = append(got, key)
		}
		if slices.Sort(got); !slices.Equal(got, test.want) || !strings.Contains(string(out[test.part]), test.wantText) {
			t.Errorf("%s: %s, want %s in results of %q", test.part, out[test.part], test.wantText, test.want)
		}
		var text string
		json.Unmarshal(out[test.part+"_error"], &text)
		lines := strings.Split(text, "\n")
		if !slices.EqualFunc(lines, test.wantErrs, strings.HasPrefix) {
			t.Errorf("%s: error %q, want %q", test.part, lines, test.wantErrs)
		}
	}
}

func TestPartFails(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(show func(any)) error
		want map[string]json.RawMessage
	}{
		{"whole", func(show func(any)) error { show(1); show(2); return nil }, map[string]json.RawMessage{"p": []byte("2")}},
		{"half", func(show func(any)) error { show(1); return errors.New("x") },
			map[string]json.RawMessage{"p": []byte("1"), "p_error": []byte(`"x"`)}},
		{"nothing", func(func(any)) error { return errors.New("x") }, map[string]json.RawMessage{"p_error": []byte(`"x"`)}},
		{"not JSON", func(show func(any)) error { show(1); show(math.Inf(1)); return nil },
			map[string]json.RawMessage{"p": []byte("1"), "p_error": []byte(`"json: unsupported value: +Inf"`)}},
	} {
		got := shown(t, part{"p", func(_ *check, _ context.Context, show func(any)) error { return test.run(show) }})
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[number]string{1.5: `1.5`, number(math.Inf(1)): `"+Inf"`, number(math.Inf(-1)): `"-Inf"`,
		number(math.NaN()): `"NaN"`} {
		if got, err := json.Marshal(n); err != nil || string(got) != want {
			t.Errorf("%v: %s, %v, want %s", float64(n), got, err, want)
		}
	}
}

func TestChoose(t *testing.T) {
	for name, want := range map[string]int{"": len(parts), "devices": 0, "auc": 1} {
		if got, err := choose(name); err != nil || len(got) != want {
			t.Errorf("%q: %d parts, %v, want %d", name, len(got), err, want)
		}
	}
	if _, err := choose("acu"); err == nil || !strings.Contains(err.Error(), "known are devices, gradients") {
		t.Errorf("unknown part: %v", err)
	}
}
