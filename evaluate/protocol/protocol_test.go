package protocol

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	dataprepare "github.com/degas-dns/degas/datasets/prepare"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"

	_ "github.com/degas-dns/degas/trainer/graph"
	_ "go4.org/unsafe/assume-no-moving-gc"
)

// newRun trains a small model on names whose families differ in their letters: digits is unlike anything else.
func newRun(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(letters string, n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte(letters[rng.IntN(len(letters))])
		}
		return b.String()
	}
	files := map[string]*strings.Builder{}
	for _, f := range []string{"one", "two"} {
		files[f] = &strings.Builder{}
		files[f].WriteString("domain,class,family\n")
	}
	for i := range 2400 {
		f := files[[]string{"one", "two"}[i/4%2]]
		switch i % 4 {
		case 0, 2:
			fmt.Fprintf(f, "%s.com,benign,\n", text("aeiou", 5)+text("lmnr", 5))
		case 1:
			fmt.Fprintf(f, "%s.com,dga,%s\n", text("xqzjkw", 10), []string{"hard", "hard_b"}[i/4%2])
		case 3:
			class := []string{"dga", "tunnel"}[i/4%2] // families are of a class: the tool may be called as a DGA is
			fmt.Fprintf(f, "%s.com,%s,digits\n", text("0123456789", 10), class)
		}
	}
	for name, b := range files {
		path := filepath.Join(dir, "raw", name, "list.csv")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "processed")
	shares := dataprepare.Options{Seed: 1, Test: 0.2, Validation: 0.2}
	if _, err := dataprepare.Run(context.Background(), filepath.Join(dir, "raw"), data, shares); err != nil {
		t.Fatal(err)
	}
	spec := model.Spec{Version: 1, Name: "tiny", Labels: model.BinaryLabels,
		Encoder: model.Encoder{
			Alphabet: model.NameAlphabet, Base: 2, Unknown: 1, Window: 16, PadSide: model.Left, Keep: model.Last, Lower: true,
		},
		Layers: []model.Layer{
			{Kind: model.KindEmbedding, Rows: 41, Dim: 8},
			{Kind: model.KindConv1D, Filters: 16, Kernel: 3, Activation: model.ReLU},
			{Kind: model.KindGlobalMaxPool},
			{Kind: model.KindDense, Units: 1, Activation: model.Sigmoid},
		}}
	o := trainer.DefaultOptions()
	o.Epochs, o.LearningRate = 4, 0.01
	run := filepath.Join(dir, "run")
	c := trainer.Config{Arch: "tiny", Target: trainer.TargetBinary, Engine: "cpu", Data: data, Options: o}
	request := trainer.Request{Dir: run, Spec: &spec, Config: c}
	if _, err := trainer.Train(context.Background(), request, trainer.Observer{}); err != nil {
		t.Fatal(err)
	}
	return run
}

func TestProtocols(t *testing.T) {
	run := newRun(t)
	for _, c := range []struct {
		protocol string
		folds    int
		groups   []string
	}{
		{LeaveFamilyOut, 0, []string{"digits dga", "digits tunnel", "hard dga"}}, // hard_b goes with hard
		{LeaveSourceOut, 0, []string{"one benign", "one dga", "two benign", "two dga", "two tunnel"}},
		{KFold, 3, []string{"fold 1 ", "fold 2 ", "fold 3 "}},
	} {
		t.Run(c.protocol, func(t *testing.T) {
			g, err := Run(context.Background(), Options{RunDir: run, Protocol: c.protocol, Folds: c.folds})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for _, h := range g.Groups {
				seen[h.Name+" "+h.Class]++
				if h.Names == 0 || h.Benign == 0 || math.IsNaN(float64(h.Model.TPR1e2)) {
					t.Errorf("%+v", h)
				}
			}
			want := map[string]int{}
			for _, n := range c.groups {
				want[n]++
			}
			if fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("groups %v, want %v", seen, want)
			}
			if _, err := os.Stat(filepath.Join(run, "protocols", c.protocol+".json")); err != nil {
				t.Error(err)
			}
			if c.protocol == KFold && (g.Mean.Model.ROCAUC < 0.99 || g.Mean.Plain.ROCAUC < 0.99) {
				t.Errorf("families that were seen: mean %+v", g.Mean)
			}
		})
	}
}

// A protocol that was stopped after its first training goes on with the second and ends with what an uninterrupted one
// has.
func TestProtocolGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("TestProtocols trains for the race detector; go test ./... runs it")
	}
	run := newRun(t)
	o := Options{RunDir: run, Protocol: KFold, Folds: 2}
	var trained []string
	o.Fold = func(_, _ int, what string) { trained = append(trained, what) }
	ctx, stop := context.WithCancel(context.Background())
	o.Observer.Step = func(int, int, int, float64) {
		if len(trained) == 2 {
			stop()
		}
	}
	if _, err := Run(ctx, o); err == nil {
		t.Fatal("stopped: no error")
	}
	trained, o.Observer.Step = nil, nil
	resumed, err := Run(context.Background(), o)
	if err != nil || fmt.Sprint(trained) != "[fold 2]" {
		t.Fatalf("went on with %v: %v", trained, err)
	}
	trained = nil
	whole, err := Run(context.Background(), o)
	if err != nil || len(trained) != 2 {
		t.Fatalf("once more: trained %v: %v", trained, err)
	}
	if whole.Seconds, resumed.Seconds = 0, 0; !reflect.DeepEqual(whole, resumed) {
		t.Errorf("resumed %+v, uninterrupted %+v", resumed, whole)
	}
	partial := filepath.Join(run, "protocols", ".kfold.partial")
	if _, err := os.Stat(partial); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v, want it gone", partial, err)
	}
	if err := os.WriteFile(partial, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "Try: remove it") {
		t.Errorf("a broken file: %v", err)
	}
}

// Another list's name of a registered domain that is held out is not trained on; for families it stays.
func TestSourcesShareNoDomain(t *testing.T) {
	var rows []row
	for _, w := range []row{
		{name: "www.shop.com", source: "one", split: "train", family: ""},
		{name: "shop.com", source: "two", split: "train"},
		{name: "m.shop.com", source: "two", split: "validation"},
		{name: "api.shop.com", source: "two", split: "test"},
		{name: "other.com", source: "two", split: "train"},
		{name: "xkqj.com", source: "two", split: "train", family: "some", class: datasets.DGA},
		{name: "a.xkqj.com", source: "two", split: "train"},
	} {
		w.part = part(w.name)
		rows = append(rows, w)
	}
	for protocol, want := range map[string][]use{
		LeaveSourceOut: {heldOut, leftOut, leftOut, benign, train, train, train},
		LeaveFamilyOut: {train, train, validate, benign, train, heldOut, train},
	} {
		r := &runner{Options: Options{Protocol: protocol}, rows: rows}
		folds, err := r.folds()
		if err != nil {
			t.Fatal(err)
		}
		var got []use
		for i := range rows {
			got = append(got, folds[len(folds)-1].use(&rows[i]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s without %s: %v, want %v", protocol, folds[len(folds)-1].without, got, want)
		}
	}
}

// Only sources of many benign names and no others say which threshold holds elsewhere.
func TestLeaveBenignOut(t *testing.T) {
	var rows []row
	add := func(source string, n int, class datasets.Class) {
		for i := range n {
			name := fmt.Sprintf("%s-%d.com", source, i)
			rows = append(rows, row{name: name, source: source, class: class, split: "train", part: part(name)})
		}
	}
	add("hosts", fewestTelling, datasets.Benign)
	add("few", fewestTelling-1, datasets.Benign)
	add("mixed", fewestTelling, datasets.Benign)
	add("mixed", 1, datasets.DGA)
	add("sites", fewestTelling+1, datasets.Benign)
	r := &runner{Options: Options{Protocol: LeaveBenignOut}, rows: rows}
	folds, err := r.folds()
	if err != nil {
		t.Fatal(err)
	}
	var without []string
	for _, f := range folds {
		without = append(without, f.without)
	}
	if fmt.Sprint(without) != "[sites hosts]" {
		t.Errorf("left out %v, want sites and hosts", without)
	}
}

func TestDeal(t *testing.T) {
	counts := map[string]int{"a": 10, "b": 6, "c": 5, "d": 1}
	if got := fmt.Sprint(deal([]string{"a", "b", "c", "d"}, counts, 2)); got != "[[a d] [b c]]" {
		t.Error(got)
	}
	if got := deal([]string{"a", "b"}, counts, 9); len(got) != 2 {
		t.Error(got)
	}
}

func TestWrongProtocol(t *testing.T) {
	if _, err := Run(context.Background(), Options{RunDir: t.TempDir(), Protocol: KFold}); err == nil {
		t.Error("a directory that is no run: no error")
	}
	run := newRun(t)
	for _, o := range []Options{{Protocol: "jackknife"}, {Protocol: KFold, Folds: 1}} {
		o.RunDir = run
		if _, err := Run(context.Background(), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// Variants of one algorithm are held out together. A word that several names begin with is no algorithm.
func TestStems(t *testing.T) {
	r := &runner{}
	for _, family := range []string{"pykspa", "pykspa_noise", "vawtrak_v2", "acme_v2", "acme_other", "unnamed_downloader",
		"unnamed_javascript_dga", "own", "own_2", "own_more", "x.y", "_odd"} {
		r.rows = append(r.rows, row{family: family})
	}
	stems := r.stems()
	for family, want := range map[string]string{
		"pykspa": "pykspa", "pykspa_noise": "pykspa", // known
		"vawtrak_v2": "vawtrak",
		"acme_v2":    "acme", // a numbered variant
		"acme_other": "acme_other", "unnamed_downloader": "unnamed_downloader",
		"unnamed_javascript_dga": "unnamed_javascript_dga", "x.y": "x.y", "_odd": "_odd",
		"own_2": "own", "own_more": "own", // the first word is a family of these names
	} {
		if stems[family] != want {
			t.Errorf("%s is held out as %q, want %q", family, stems[family], want)
		}
	}
	want := map[string][]string{"acme": {"acme_v2"}, "own": {"own", "own_2", "own_more"},
		"pykspa": {"pykspa", "pykspa_noise"}, "vawtrak": {"vawtrak_v2"}}
	if got := together(stems); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("together: %v, want %v", got, want)
	}
}
