package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/model"
)

// The recipe of the built-in model gives the same bytes from the same inputs: data, teacher, student, and the student's
// weights as they are embedded.
func TestReleaseRepeats(t *testing.T) {
	if testing.Short() {
		t.Skip("testdata/script/run.txtar trains for the race detector; go test ./... runs it")
	}
	recipes := map[string][]byte{}
	for _, name := range []string{"release-teacher", "release"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "configs", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for cut, to := range map[string]string{ // few names and an epoch
			`(?s)\ndownload:.*\nprocess:`:   "\nprocess:",
			`\n  train_only: \[generated\]`: "",
			`\n    epochs: \d+`:             "\n    epochs: 1\n    names: 400\n    workers: 2",
			`(?s)\nexport:.*`:               "\n",
		} {
			text = regexp.MustCompile(cut).ReplaceAll(text, []byte(to))
		}
		if bytes.Contains(text, []byte("download:")) || !bytes.Contains(text, []byte("workers: 2")) {
			t.Fatalf("the shape of %s.yaml has changed:\n%s", name, text)
		}
		recipes[name] = text
	}
	first := released(t, recipes)
	for name, data := range released(t, recipes) {
		if !bytes.Equal(data, first[name]) {
			t.Errorf("%s is another the second time", name)
		}
	}
}

// released runs both recipes in a folder of their own and gives what comes of them.
func released(t *testing.T, recipes map[string][]byte) map[string][]byte {
	t.Helper()
	t.Chdir(t.TempDir())
	sample := synth.SampleOptions{Seed: 1, Benign: 500, DGA: 400, Tunnel: 100}
	if err := synth.WriteSample("data/release/raw/generated", sample); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"release-teacher", "release"} {
		if err := os.WriteFile(name+".yaml", recipes[name], 0o644); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if code := run(t.Context(), []string{"degas", "--quiet", "run", name + ".yaml"}, nil, &out, &out); code != 0 {
			t.Fatalf("%s: status %d\n%s", name, code, out.String())
		}
	}
	got := map[string][]byte{}
	for _, name := range []string{"data/release/processed/train.arrow", "runs/release-teacher/model/model.safetensors",
		"runs/release/model/model.safetensors", "runs/release/model/model.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = data
	}
	m, err := model.LoadAny("runs/release")
	if err != nil {
		t.Fatal(err)
	}
	if got["half/model.json"], got["half/model.safetensors"], err = m.HalfFiles(); err != nil {
		t.Fatal(err)
	}
	return got
}
