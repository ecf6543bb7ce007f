package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/model"
)

// together starts all commands in dir at once and returns which of them ended well. The others must have failed of
// themselves, with one line.
func together(t *testing.T, dir string, commands ...string) (ok []bool) {
	t.Helper()
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	var running []*exec.Cmd
	var said []*bytes.Buffer
	for _, args := range commands {
		c, out := degasProcess(t, dir, append([]string{"--quiet"}, strings.Fields(args)...)...)
		c.Env = append(c.Env, "GOMAXPROCS=1")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		running, said = append(running, c), append(said, out)
	}
	for i, c := range running {
		err := c.Wait()
		if ok = append(ok, err == nil); err == nil {
			continue
		}
		text := said[i].String()
		if c.ProcessState.ExitCode() != exitFailed || strings.Count(text, "\n") != 1 ||
			!strings.HasPrefix(text, "degas: ") {
			t.Errorf("%s: exit status %d, not one line: %s", commands[i], c.ProcessState.ExitCode(), text)
		}
	}
	return ok
}

func count(ok []bool) (n int) {
	for _, b := range ok {
		if b {
			n++
		}
	}
	return n
}

// noLeftovers fails for what only a process at work has.
func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	for name := range files(t, dir) {
		if strings.Contains(name, ".degas-") {
			t.Errorf("left behind: %s", name)
		}
	}
}

// small makes a data set and a run of it in dir: runs/r, exported to e/1.
func small(t *testing.T, dir string) {
	t.Helper()
	for _, args := range []string{
		"generate --family necurs --family iodine --family banjori --count 150 --layout umudga --out raw",
		"process-data raw", "train-model --run r" + smallTraining, "export-model runs/r --to e/1",
	} {
		if !together(t, dir, args)[0] {
			t.FailNow()
		}
	}
}

const smallTraining = " --arch mlbridge --names 300 --epochs 2 --batch-size 64"

// Of twenty imports into one run, one makes it and the others are told.
func TestImportsTogether(t *testing.T) {
	dir := t.TempDir()
	small(t, dir)
	command := "import-model e/1/model.h5 --run imported"
	ok := together(t, dir, slices.Repeat([]string{command}, 20)...)
	if count(ok) != 1 {
		t.Errorf("%d of %d imports made the run", count(ok), len(ok))
	}
	alone := t.TempDir()
	if err := os.CopyFS(filepath.Join(alone, "e"), os.DirFS(filepath.Join(dir, "e"))); err != nil {
		t.Fatal(err)
	}
	together(t, alone, command)
	sameFiles(t, files(t, filepath.Join(dir, "runs", "imported")), files(t, filepath.Join(alone, "runs", "imported")))
	noLeftovers(t, dir)
}

// Of publications of one version, one makes it. Those that may replace it leave one of them, whole.
func TestPublicationsTogether(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		writeVersion(t, filepath.Join(dir, name, "1"), name)
	}
	for round := range 3 {
		var commands []string
		for i := range 8 {
			from := string("ab"[i%2])
			commands = append(commands, fmt.Sprintf("publish-model %s/1 --to store --name m --version %d", from, round+1))
		}
		for _, force := range []string{"", " --force"} {
			for i := range commands {
				commands[i] += force
			}
			ok := together(t, dir, commands...)
			if n := count(ok); n == 0 || force == "" && n != 1 {
				t.Errorf("round %d%s: %d of %d published", round, force, n, len(ok))
			}
			if _, err := export.CheckSums(filepath.Join(dir, "store", "m", fmt.Sprint(round+1))); err != nil {
				t.Error(err)
			}
		}
	}
	ok := together(t, dir, "publish-model a/1 --to store --name m --version 7 --keep 1",
		"publish-model b/1 --to store --name m --version 8 --keep 1")
	if count(ok) == 0 {
		t.Error("none of two published")
	}
	noLeftovers(t, filepath.Join(dir, "store"))
}

// choose-threshold and calibrate on one run: the last note is of what the model is.
func TestTuningsTogether(t *testing.T) {
	dir := t.TempDir()
	small(t, dir)
	for round := range 4 {
		const calibrate = "calibrate runs/r --force"
		if count(together(t, dir, "choose-threshold runs/r --fpr 0.1", calibrate, calibrate)) == 0 {
			t.Errorf("round %d: none of three ended well", round)
		}
		m, err := model.Load(filepath.Join(dir, "runs", "r", "model"))
		if err != nil {
			t.Fatal(err)
		}
		run := rundir.Run{Dir: filepath.Join(dir, "runs", "r"), Model: m}
		if notes, err := run.Tunings(); err != nil || len(notes) == 0 {
			t.Errorf("round %d: the notes are not of the model: %v", round, err)
		}
	}
	noLeftovers(t, dir)
}

// Pipelines with the same outputs, at once: what stands there then is whole, and one alone goes on with it.
func TestPipelinesTogether(t *testing.T) {
	dir := t.TempDir()
	small(t, dir)
	for seed, name := range []string{"one", "two"} {
		text := fmt.Sprintf("version: 1\nname: %s\nprocess: {in: raw, out: shared/data, seed: %d}\n", name, seed) +
			"train: {run: shared/run, arch: mlbridge, options: {epochs: 1, names: 300}}\n" +
			"export: {to: shared/1, formats: [hdf5]}\n"
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, commands := range [][]string{{"run one.yaml", "run one.yaml"}, {"run one.yaml", "run two.yaml"},
		{"run one.yaml --force", "run two.yaml --force", "run two.yaml --force"}} {
		for _, old := range []string{"shared", ".degas"} {
			if err := os.RemoveAll(filepath.Join(dir, old)); err != nil {
				t.Fatal(err)
			}
		}
		ok := together(t, dir, commands...)
		if t.Logf("%v: %v", commands, ok); count(ok) == 0 && commands[0] == commands[1] {
			t.Errorf("%v: none ended well", commands)
		}
		for range 2 {
			if count(ok) > 0 {
				if _, err := export.CheckSums(filepath.Join(dir, "shared", "1")); err != nil {
					t.Errorf("%v: %v", commands, err)
				}
				if count(together(t, dir, "inspect shared/data", "predict shared/run example.com")) != 2 {
					t.Errorf("%v: the data set or the run is not whole", commands)
				}
			}
			if ok = together(t, dir, "run one.yaml --force"); !ok[0] {
				t.Errorf("%v: one alone did not go on", commands)
			}
		}
		noLeftovers(t, dir)
	}
}

// Who reads a data set while another process replaces it, again and again, reads the one or the other, or says so.
func TestReadersWhileReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	dir := t.TempDir()
	var want []map[string]string
	commands := []string{"generate --family necurs --count 3000 --layout umudga --out raw"}
	for seed := range 2 {
		commands = append(commands, fmt.Sprintf("process-data raw --seed %d", seed),
			fmt.Sprintf("convert data/processed want%d", seed))
	}
	for _, args := range commands {
		if !together(t, dir, args)[0] {
			t.FailNow()
		}
	}
	for seed := range 2 {
		want = append(want, files(t, filepath.Join(dir, fmt.Sprintf("want%d", seed))))
	}
	told := 0
	for round := range 6 {
		commands := []string{fmt.Sprintf("process-data raw --seed %d --shards %d", round%2, round%3*2)}
		for i := range 6 {
			commands = append(commands, fmt.Sprintf("convert data/processed out%d", i))
		}
		ok := together(t, dir, commands...)
		if told += len(ok) - count(ok); !ok[0] {
			t.Error("process-data failed")
		}
		for i := range 6 {
			out := filepath.Join(dir, fmt.Sprintf("out%d", i))
			if _, err := os.Stat(filepath.Join(out, "train.csv")); err != nil {
				continue // it has been told each time
			}
			if got := files(t, out); !maps.Equal(got, want[0]) && !maps.Equal(got, want[1]) {
				t.Errorf("round %d: %s is of neither data set", round, out)
			}
		}
	}
	t.Logf("%d commands were told", told)
}
