package pipeline

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// copyStage copies one file and counts how often.
type copyStage struct {
	name, from, to string
	suffix         string
	runs           int
	fail           error
}

func (s *copyStage) stage() Stage {
	to := func() []string { return []string{s.to} }
	return Stage{
		s.name, s.suffix, func() []string { return []string{s.from} }, to, to(),
		ours, s.Run,
	}
}

func (s *copyStage) Run(context.Context, func() error) error {
	s.runs++
	if s.fail != nil {
		return s.fail
	}
	data, err := os.ReadFile(s.from)
	if err != nil {
		return err
	}
	return os.WriteFile(s.to, append(data, s.suffix...), 0o644)
}

func TestRunSkipsWhatIsDone(t *testing.T) {
	dir := t.TempDir()
	at := func(n string) string { return filepath.Join(dir, n) }
	write := func(n, s string) {
		t.Helper()
		if err := os.WriteFile(at(n), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "1")
	ab, bc := &copyStage{name: "ab", from: at("a"), to: at("b")}, &copyStage{name: "bc", from: at("b"), to: at("c")}
	o := Options{State: at("state/s.json"), Version: "1"}
	for _, step := range []struct {
		what   string
		before func()
		want   []int // runs of ab, bc so far
		err    string
	}{
		{what: "first", before: func() {}, want: []int{1, 1}},
		{what: "again", before: func() {}, want: []int{1, 1}},
		{what: "input changed", before: func() { write("a", "22") }, want: []int{2, 2}},
		{what: "output lost", before: func() { os.Remove(at("c")) }, want: []int{2, 3}},
		{
			what:   "output changed",
			before: func() { write("b", "other") },
			want:   []int{2, 3},
			err:    "b has changed since this pipeline made it. To keep it, move it away. To replace it, use --force",
		},
		{what: "output moved away", before: func() { os.Remove(at("b")) }, want: []int{3, 3}},
		{what: "parameter changed", before: func() { bc.suffix = "!" }, want: []int{3, 4}},
		{what: "other version", before: func() { o.Version = "2" }, want: []int{4, 5}},
		{
			what:   "damaged state",
			before: func() { write("state/s.json", "{") },
			want:   []int{4, 5},
			err:    "ab would replace " + at("b") + ", but this pipeline did not make " + at("b"),
		},
		{what: "outputs moved away", before: func() { os.Remove(at("b")); os.Remove(at("c")) }, want: []int{5, 6}},
		{
			what:   "failure",
			before: func() { write("a", "333"); bc.fail = errors.New("disk on fire") },
			want:   []int{6, 7},
			err:    "bc: disk on fire",
		},
		{what: "after the failure", before: func() { bc.fail = nil }, want: []int{6, 8}},
		{
			what:   "a later stage's output changed",
			before: func() { write("a", "4"); write("c", "precious") },
			want:   []int{6, 8},
			err:    "c has changed since",
		},
		{what: "forced", before: func() { o.Force = true }, want: []int{7, 9}},
		{what: "dry", before: func() { o.DryRun = true }, want: []int{7, 9}},
	} {
		step.before()
		err := Run(context.Background(), []Stage{ab.stage(), bc.stage()}, o)
		if (err == nil) != (step.err == "") || err != nil && !strings.Contains(err.Error(), step.err) {
			t.Fatalf("%s: error %v, want %q", step.what, err, step.err)
		}
		if got := []int{ab.runs, bc.runs}; !slices.Equal(got, step.want) {
			t.Fatalf("%s: runs %v, want %v", step.what, got, step.want)
		}
	}
}

// Whatever stands where a stage puts its output stays, and no stage runs.
func TestRunKeepsWhatItDidNotMake(t *testing.T) {
	for name, files := range map[string][]string{
		"a file":                {"to"},
		"a folder":              {"to/notes.txt", "to/more/thesis.tex"},
		"a repository":          {"to/.git/HEAD"},
		"a file in a subfolder": {"to/a/b/c"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range append(files, "from") {
				path := filepath.Join(dir, filepath.FromSlash(f))
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			first := &copyStage{name: "first", from: filepath.Join(dir, "from"), to: filepath.Join(dir, "between")}
			last := &copyStage{name: "last", from: first.to, to: filepath.Join(dir, "to")}
			err := Run(t.Context(), []Stage{first.stage(), last.stage()}, Options{State: filepath.Join(dir, "s.json")})
			if err == nil || !strings.Contains(err.Error(), "this pipeline did not make "+last.to) ||
				!strings.Contains(err.Error(), "--force") || first.runs+last.runs > 0 {
				t.Errorf("%v after %d and %d runs", err, first.runs, last.runs)
			}
		})
	}
}

// What somebody puts into an output while a stage works stays, and so does what stands where a training is to work.
func TestRunKeepsWhatCameMeanwhile(t *testing.T) {
	dir := t.TempDir()
	out, state := filepath.Join(dir, "out"), filepath.Join(dir, "s.json")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	notes := filepath.Join(out, "notes.txt")
	stage := Stage{Name: "a", Inputs: func() []string { return nil }, Outputs: func() []string { return []string{out} },
		Replaces: []string{out}, Run: func(_ context.Context, ready func() error) error {
			if err := os.WriteFile(notes, []byte("mine"), 0o644); err != nil {
				return err
			}
			return ready()
		}}
	err := Run(t.Context(), []Stage{stage}, Options{State: state})
	if err == nil || !strings.Contains(err.Error(), "this pipeline did not make "+notes) {
		t.Errorf("error %v", err)
	}
	if err := Run(t.Context(), []Stage{stage}, Options{State: state, Force: true}); err != nil {
		t.Errorf("with --force: %v", err)
	}
	if err := isTraining(out); err == nil || !strings.Contains(err.Error(), "notes.txt, which degas did not write") {
		t.Errorf("a folder where a training is to work: %v", err)
	}
}

// An input that changes while a stage runs was perhaps not read: the stage runs again.
func TestInputChangesWhileRunning(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "a")
	if err := os.WriteFile(from, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &copyStage{name: "ab", from: from, to: filepath.Join(dir, "b")}
	o := Options{State: filepath.Join(dir, "s.json"), Version: "1", Observer: Observer{Finished: func(string) {
		if s.runs == 1 {
			if err := os.WriteFile(from, []byte("333"), 0o644); err != nil {
				t.Error(err)
			}
		}
	}}}
	for i, want := range []int{1, 2, 2} {
		if err := Run(context.Background(), []Stage{s.stage()}, o); err != nil || s.runs != want {
			t.Fatalf("call %d: %d runs, %v; want %d", i+1, s.runs, err, want)
		}
	}
}

// The folder of an input may be a link, and so may folders in it.
func TestInputBehindALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "disk"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "raw")
	if err := os.Symlink("disk", link); err != nil {
		t.Skip(err) // Windows, without the right to
	}
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "more"), 0o755),
		os.Symlink("../more", filepath.Join(dir, "disk", "inner")),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"disk/a", "disk/.hidden", "more/b"} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := (&runner{}).digests(t.Context(), []string{link}, nil)
	at := func(name ...string) stat { return got[filepath.ToSlash(filepath.Join(link, filepath.Join(name...)))] }
	if err != nil || len(got) != 2 || at("a").SHA256 == "" || at("inner", "b").SHA256 == "" {
		t.Errorf("%v, %v", got, err)
	}
}

// What is given as zero is zero, and local files are inputs.
func TestStages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	const config = "version: 1\nname: x\ndownload: {sources: [tranco, 'file:///x.csv'], from: lists}\n" +
		"process: {test: 0, max_bad: 0}\n"
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if o := c.Process.options(); o.Test != -1 || o.MaxBad != -1 || o.Validation != 0.1 {
		t.Errorf("test 0, max_bad 0: %+v", o)
	}
	if in := c.Stages("1", Hooks{})[0].Inputs(); !slices.Equal(in, []string{"lists", filepath.FromSlash("/x.csv")}) {
		t.Errorf("inputs of the download: %v", in)
	}
}

func TestReadConfig(t *testing.T) {
	for name, tc := range map[string]struct{ text, err string }{
		"unknown key":  {"version: 1\nname: x\ntrain:\n  options: {epoch: 3}\n", `Did you mean "epochs"?`},
		"no stage":     {"version: 1\nname: x\n", "has no stage"},
		"no version":   {"name: x\ntrain: {}\n", "version is missing. Write: version: 1"},
		"version":      {"version: 2\nname: x\ntrain: {}\n", "version 2"},
		"name":         {"version: 1\nname: ../x\ntrain: {}\n", `name "../x"`},
		"bad value":    {"version: 1\nname: x\ntrain:\n  options: {epochs: 0}\n", "line 4: train.options.epochs: epochs 0"},
		"empty":        {"version: 1\nname: x\ntrain:\nprocess: {}\n", "train: is empty"},
		"no run":       {"version: 1\nname: x\nevaluate: {}\n", "give run"},
		"not a config": {"- 1\n", "read "},
		"no number":    {"version: 1\nname: x\nprocess: {max_bad: .nan}\n", "share of bad rows NaN"},
		"two":          {"version: 1\nname: x\ntrain: {}\n---\nfoo: 1\n", "a second document"},
		"alias":        {"version: 1\nname: &a x\ntrain: {}\n", "line 2: anchors and aliases"},
		"a BOM":        {"\xef\xbb\xbfversion: 1\nname: x\ntrain: {arch: lstm}\nexport: {}\n", ""},
		"fine":         {"version: 1\nname: x\ntrain: {arch: lstm}\nexport: {}\n", ""},
	} {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(tc.text), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := ReadConfig(path)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: error %v, want %q and the path", name, err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.Train.Options.Workers != 0 || c.Train.Options.Epochs != 100 || c.Export.Run != "runs/x" ||
			c.Export.To != "models/x/1" {
			t.Errorf("%s: defaults %+v %+v", name, c.Train, c.Export)
		}
	}
}

// What a stage does to the output of an earlier one does not undo that, also if degas is killed before it could write
// down that it is done.
func TestLaterStageChangesOutput(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(from, "1")
	made := &copyStage{name: "made", from: from, to: to}
	changes := 0
	var killed error
	change := Stage{Name: "changed", Inputs: func() []string { return []string{from} },
		Outputs: func() []string { return []string{to} }, Left: ours, Run: func(context.Context, func() error) error {
			changes++
			return errors.Join(os.WriteFile(to, []byte("changed"), 0o644), killed)
		}}
	o := Options{State: filepath.Join(dir, "s.json")}
	for i, step := range []struct {
		killed        error
		before        func()
		made, changes int
		err           string
	}{
		{errors.New("killed"), func() {}, 1, 1, "killed"},
		{nil, func() {}, 1, 2, ""},
		{nil, func() {}, 1, 2, ""},
		{nil, func() { write(from, "2") }, 2, 3, ""},
		{nil, func() { write(from, "3"); write(to, "mine") }, 2, 3, "to has changed since this pipeline made it"},
	} {
		killed = step.killed
		step.before()
		err := Run(t.Context(), []Stage{made.stage(), change}, o)
		if made.runs != step.made || changes != step.changes || (err == nil) != (step.err == "") ||
			err != nil && !strings.Contains(err.Error(), step.err) {
			t.Errorf("step %d: %d and %d runs, %v; want %+v", i, made.runs, changes, err, step)
		}
	}
}

// An input that is written anew with the size and the time of before has changed all the same, and so has an output.
func TestRewrittenWithSizeAndTime(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system does not say when a file has changed")
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func(path, text string) {
		t.Helper()
		day := time.Unix(1e9, 0)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), os.Chtimes(path, day, day)); err != nil {
			t.Fatal(err)
		}
	}
	write(from, "1")
	s := &copyStage{name: "ab", from: from, to: to}
	o := Options{State: filepath.Join(dir, "s.json"), Version: "1"}
	for i, step := range []struct {
		change func()
		runs   int
	}{
		{func() {}, 1}, {func() {}, 1}, {func() { write(from, "2") }, 2}, {func() {}, 2},
		{func() { write(from, "2") }, 2}, // nothing is new but the time of the change
		{func() { write(to, "2") }, 2}, {func() { write(to, "3"); o.Force = true }, 3},
	} {
		step.change()
		if err := Run(t.Context(), []Stage{s.stage()}, o); err != nil || s.runs != step.runs {
			t.Fatalf("step %d: %d runs, %v; want %d", i, s.runs, err, step.runs)
		}
	}
	o.Force = false
	write(to, "9")
	s.suffix = "x"
	unforced := s.stage()
	unforced.Left = nil
	if err := Run(t.Context(), []Stage{unforced}, o); err == nil || !strings.Contains(err.Error(), "has changed since") {
		t.Errorf("somebody's output would be replaced: %v", err)
	}
}

// What process-data leaves out of its input changes nothing.
func TestPipeInInput(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(in, "socket"))
	if err != nil {
		t.Skip(err)
	}
	defer socket.Close()
	stage := Stage{Name: "a", Inputs: func() []string { return []string{in} }, Outputs: func() []string { return nil },
		Run: func(context.Context, func() error) error { return nil }}
	if err := Run(t.Context(), []Stage{stage}, Options{State: filepath.Join(dir, "s.json")}); err != nil {
		t.Error(err)
	}
}
